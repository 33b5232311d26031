// Requests of the page of zoo serve to its service: the protocol, and two requests that the protocol does not have.
async function ask(path, body) {
  const token = document.getElementById("token").value, headers = token ? {Authorization: `Bearer ${token}`} : {};
  const answer = await fetch(path, body === undefined ? {headers} : {method: "POST", headers, body: JSON.stringify(body)});
  const found = await answer.json().catch(() => ({error: `the service answered with status ${answer.status}`}));
  if (answer.status === 401) document.getElementById("token-label").hidden = false;
  if (!answer.ok) throw new Error(found.error);
  return found;
}

const strands = both => both ? {rc: "average"} : {};

const at = model => `models/${encodeURIComponent(model)}`;

const backend = {
  // name -> targets, sequence_length, runtime, weights
  async models() {
    const found = {};
    for (const name of (await ask("v2/models")).models) found[name] = (await ask(`v2/${at(name)}`)).parameters;
    return found;
  },

  // activities or an error for each sequence; an error does not stop the prediction of the others.
  // both: whether to predict the mean of both strands
  async predict(model, sequences, both) {
    const found = sequences.map(() => null);
    for (let left = [...sequences.keys()]; left.length; left = left.filter(i => !found[i])) {
      const tensor = {name: "sequence", datatype: "BYTES", shape: [left.length], data: left.map(i => sequences[i])};
      try {
        const {data, shape} = (await ask(`v2/${at(model)}/infer`, {inputs: [tensor], parameters: strands(both)})).outputs[0];
        left.forEach((i, row) => { found[i] = {activities: data.slice(row * shape[1], (row + 1) * shape[1])}; });
      } catch (error) {
        const number = /^sequence (\d+)(, position \d+)?: /.exec(error.message);
        if (!number) throw error;
        found[left[number[1] - 1]] = {error: error.message.replace(/^sequence \d+(, )?:? ?/, "").split("; the parameter")[0]};
      }
    }
    return found;
  },

  // for each target: contributions of the bases (L), effects of substitutions (4 L)
  async explain(model, sequence, both) {
    const found = await ask(`page/${at(model)}/explain`, {sequence, ...strands(both)});
    return {...found, contributions: found.contributions.map(numbers), effects: found.effects.map(numbers)};
  },

  // the sequence after the substitution that raises a target most, and that substitution, if any raises it
  stronger: (model, sequence, target, both) => ask(`page/${at(model)}/stronger`, {sequence, target, ...strands(both)}),
};
