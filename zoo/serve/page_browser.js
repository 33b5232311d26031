// Requests of the page of zoo page, answered in the browser: ONNX Runtime in WebAssembly runs the graphs.
const ROWS = 64;
const sessions = {};
let turn = Promise.resolve();

async function runtime() {
  if (location.protocol === "file:")
    throw new Error("Browsers do not let a page that is opened as a file load other files. Open it through a web server, for example python -m http.server in its folder.");
  const ort = await import(new URL("ort/ort.js", document.baseURI));
  ort.env.wasm.wasmPaths = {wasm: new URL("ort/ort.wasm", document.baseURI).href};
  ort.env.wasm.proxy = true;
  return ort;
}

async function opened(model) {
  const {graph} = settings.models[model], answer = await fetch(graph.split("/").map(encodeURIComponent).join("/"));
  if (!answer.ok) throw new Error(`${graph}: the server answered with status ${answer.status}`);
  return (await ready).InferenceSession.create(new Uint8Array(await answer.arrayBuffer()));
}

// letters: the sequences in ASCII, one after the other -> activities, one row after the other
async function run(model, letters) {
  const ort = await ready, length = settings.models[model].sequence_length, width = settings.models[model].targets.length;
  sessions[model] ??= opened(model);
  sessions[model].catch(() => { delete sessions[model]; });  // the next request tries again
  const session = await sessions[model], count = letters.length / length;
  const activities = new Float32Array(count * width);
  for (let row = 0; row < count; row += ROWS) {
    const part = letters.slice(row * length, (row + ROWS) * length);
    // a session runs one batch at a time
    const begun = turn.then(() => session.run({[settings.input]: new ort.Tensor("uint8", part, [part.length / length, length])}));
    turn = begun.catch(() => {});
    activities.set((await begun)[settings.output].data, row * width);
  }
  return activities;
}

// the same for the other strand
function otherStrand(letters, length) {
  const found = new Uint8Array(letters.length);
  letters.forEach((letter, i) => { found[i - i % length + length - 1 - i % length] = PAIRED[letter]; });
  return found;
}

// activities as run gives them; both: the mean of both strands
async function predicted(model, letters, both) {
  const given = await run(model, letters);
  if (!both) return given;
  const other = await run(model, otherStrand(letters, settings.models[model].sequence_length));
  return given.map((value, i) => (value + other[i]) / 2);
}

const ascii = text => new TextEncoder().encode(text);
const PAIRED = Object.fromEntries(Object.entries(COMPLEMENT).map(([base, other]) => [ascii(base)[0], ascii(other)[0]]));

const backend = {
  async models() {
    const ort = await ready;
    return Object.fromEntries(Object.entries(settings.models).map(([name, about]) =>
      [name, {...about, runtime: `onnxruntime-web ${ort.env.versions.web}`}]));
  },

  async predict(model, sequences, both) {
    const width = settings.models[model].targets.length, activities = await predicted(model, ascii(sequences.join("")), both);
    return sequences.map((_, row) => ({activities: [...activities.slice(row * width, (row + 1) * width)]}));
  },

  // predicts every substitution; contributions are substitutions minus the mean of the four bases
  async explain(model, sequence, both) {
    const width = settings.models[model].targets.length, own = ascii(sequence), bases = ascii(settings.alphabet);
    const places = [...own].flatMap((letter, i) => [...bases].map((base, b) => [i, b]).filter(([, b]) => bases[b] !== letter));
    const letters = new Uint8Array((places.length + 1) * own.length);
    for (let row = 0; row <= places.length; row++) letters.set(own, row * own.length);
    places.forEach(([i, b], row) => { letters[(row + 1) * own.length + i] = bases[b]; });
    const activities = await predicted(model, letters, both);
    const effects = Array.from({length: width}, (_, target) => {
      const found = new Float32Array(own.length * bases.length);
      places.forEach(([i, b], row) => { found[i * bases.length + b] = activities[(row + 1) * width + target] - activities[target]; });
      return found;
    });
    const contributions = effects.map(found => Float32Array.from(own, (letter, i) =>
      bases.includes(letter) ? -found.subarray(i * bases.length, (i + 1) * bases.length).reduce((sum, value) => sum + value) / bases.length : 0));
    return {bases: sequence, activities: [...activities.slice(0, width)], contributions, effects, method: "ism"};
  },

  async stronger(model, sequence, target, both) {
    if (sequence.includes("N")) throw new Error(settings.no_step);
    const effects = (await backend.explain(model, sequence, both)).effects[settings.models[model].targets.indexOf(target)];
    const best = effects.indexOf(Math.max(...effects)), at = Math.floor(best / settings.alphabet.length);
    const base = settings.alphabet[best % settings.alphabet.length];
    if (effects[best] <= 0) return {sequence, steps: []};
    return {sequence: sequence.slice(0, at) + base + sequence.slice(at + 1), steps: [`${sequence[at]}${at + 1}${base}`]};
  },
};

const ready = runtime();
ready.catch(() => {});  // functions that wait for it report the error
