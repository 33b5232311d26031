"""The commands of `zoo`: for each, a line for `--help`, examples that run, and the page about it.

Each is a function in a file of this folder. Its signature is the command line; it calls the library and prints. Heavy
imports are inside the functions, and only the file of the command that runs is imported, which keeps `zoo --help` fast.
"""

from zoo.defaults import MODEL

COMMANDS = {
    "Predict": {
        "predict:predict": """Predict the activity of sequences in FASTA files or tables, or of intervals of a genome.
            zoo predict seqs.fa
            zoo predict peaks.tsv --column seq --both-strands -o scores.tsv
            zoo predict --bed peaks.bed --genome dm6.fa -o activity.tsv
            docs/predict.md""",
        "confidence:background": """Predict random sequences, among which other commands rank their predictions.
            zoo background --genome dm6.fa -o background.npz
            zoo background --genome dm6.fa --random-variants 1000 --variants calls.vcf.gz -o variants.npz
            zoo background controls.fa -o controls.npz
            docs/confidence.md""",
        "confidence:calibrate": """Measure how wide an interval around each prediction has to be.
            zoo calibrate --weights runs/mine --data mine.tsv -o calibration.npz
            docs/confidence.md""",
        "genome:variants": """Predict the effect of variants: activity of each allele, and their difference.
            zoo variants calls.vcf.gz --genome dm6.fa -o effects.tsv
            zoo variants calls.vcf.gz --genome dm6.fa --shifts -20,0,20 -o effects.vcf.gz
            docs/variants.md""",
        "genome:scan": """Predict every window of a genome and write tracks for a genome browser.
            zoo scan dm6.fa --stride 50 -o dm6
            zoo scan dm6.fa --region chr2L:100,001-200,000 --aggregate mean -o part
            zoo scan dm6.fa --region chr2L:470,001-550,000 --stride 50 -o ush --figure ush.pdf --genes genes.gtf
            docs/genome.md""",
        "serve:serve": f"""Answer prediction requests over HTTP (Open Inference Protocol v2), and show a web page.
            zoo serve
            zoo serve {MODEL} runs/mine --port 9000
            docs/serving.md""",
        "serve:page": f"""Write the web page of zoo serve as static files; models then run in the browser.
            zoo page {MODEL} -o site
            docs/serving.md""",
    },
    "Explain": {
        "explain:explain": """Show which bases matter: contributions or substitutions, with a report for the browser.
            zoo explain seqs.fa -o explained
            zoo explain seqs.fa --method ism --targets dev -o substitutions
            zoo explain seqs.fa --targets dev --clusters -o grouped
            docs/explain.md""",
        "explain:motifs": """Find the motifs in an output folder of zoo explain, with TF-MoDISco.
            zoo motifs explained
            zoo motifs explained --known jaspar.meme -o named
            docs/explain.md""",
        "experiments:marginalize": """Measure what motifs add to the activity of many backgrounds.
            zoo marginalize --motifs GATA,AP-1,DRE -o added
            zoo marginalize --motifs GATA --everywhere --step 5 -o along
            zoo marginalize seqs.fa --shuffles 10 --motifs mine=TGASTCA -o mine
            docs/experiments.md""",
        "experiments:ablate": """Replace the sites of motifs, or windows, and measure what the activity loses.
            zoo ablate seqs.fa --motifs GATA,AP-1 -o replaced
            zoo ablate seqs.fa --window 10 -o windows
            docs/experiments.md""",
        "experiments:flanks": """Exchange the bases around the sites of motifs, and measure what the sites owe to them.
            zoo flanks seqs.fa --motifs GATA,AP-1 -o exchanged
            zoo flanks seqs.fa --motifs GATA --width 10 --donors sites -o swapped
            docs/experiments.md""",
        "experiments:spacing": """Measure whether two motifs interact, at every distance between them.
            zoo spacing --motifs GATA,AP-1 -o together
            zoo spacing --motifs GATA,GATA --distances 0-40 --order given --orientations given -o gata
            docs/experiments.md""",
        "experiments:pairs": """Measure which pairs of a set of motifs interact.
            zoo pairs --motifs GATA,AP-1,twist,DRE -o pairs
            zoo pairs --known jaspar.meme --distances 5,15,25 -o all
            docs/experiments.md""",
        "experiments:dependency": """Map how a mutation at one base changes what the other bases do.
            zoo dependency seqs.fa --positions 100-150 -o pairs
            zoo dependency seqs.fa --measure ism --targets dev -o changes
            docs/experiments.md""",
        "experiments:hits": """Find the instances of motifs in all contributions of zoo explain.
            zoo hits explained -o found
            zoo hits explained --motifs jaspar.meme --sparsity 0.6 -o found
            docs/experiments.md""",
        "design:design": """Design sequences with a high activity, changing one base a round.
            zoo design --target dev -o designs.fa
            zoo design --target dev --start seqs.fa --rounds 5 --keep 'hk<1' -o raised.fa
            docs/design.md""",
    },
    "Weights": {
        "weights:import_": """Convert weights from Keras or PyTorch, or any network with its graph.
            zoo import weights.h5 --alphabet ACGT -o mine.safetensors
            zoo import net.keras --alphabet ACGT --strand given --targets K562,HepG2 -o net.onnx
            zoo import net.onnx --frame frame.toml -o mine.onnx
            docs/import.md""",
        "weights:init_frame": """Write a frame to fill in: what a network expects and gives.
            zoo init-frame net.onnx -o frame.toml
            docs/import.md""",
        "weights:export": f"""Write a model as ONNX, Keras or another format; the file is checked first.
            zoo export {MODEL} --onnx
            zoo export {MODEL} --onnx --input bytes -o letters.onnx
            docs/export.md""",
        "weights:pack": f"""Write a folder to publish: weights, card, licence, test tensors and checksums.
            zoo pack {MODEL} -o packed
            zoo pack mine.safetensors -o packed --licence CC-BY-4.0 --species human --tissue K562
            docs/publish.md""",
        "weights:pull": f"""Download the published weights or data into the cache, and check them.
            An interrupted download continues where it stopped.
            zoo pull {MODEL}
            zoo pull data
            zoo pull hf:owner/name@v1
            docs/weights.md""",
        "inventory:info": f"""Show the network, source and licence of weights.
            zoo info {MODEL}
            zoo info mine.safetensors --json
            docs/weights.md""",
        "inventory:list_": """List models, weights, runtimes and formats, and what can be used on this machine.
            zoo list
            zoo list --species fly --pretrained
            zoo list --json
            docs/weights.md""",
    },
    "Train": {
        "train:train": f"""Train a network on labelled sequences.
            Settings come from the command line, else from the table [train] of a .toml file, else from the model's
            recipe (see zoo info MODEL), else they have the defaults below.
            zoo train {MODEL} --data mine.tsv --split-by fraction -o runs/mine
            zoo train {MODEL} --data mine.tsv --start {MODEL} -o runs/better
            zoo train small.toml --data mine.tsv --folds 10 -o runs/folds
            docs/train.md""",
        "train:distill": f"""Train a network to imitate a teacher, on sequences drawn from a genome.
            Settings come from the same places as for zoo train.
            zoo distill small.toml --teacher {MODEL} --genome dm6.fa -o runs/small
            zoo distill {MODEL} --teacher mine.safetensors --genome dm6.fa -o runs/new
            docs/train.md""",
        "search:search": """Search for the best settings of a network and of its training, with Optuna.
            zoo search space.toml --data mine.tsv --split-by fraction -o study
            zoo search space.toml --data mine.tsv --confirm 3 -o study
            docs/search.md""",
        "compare_models:compare_models": f"""Train models on the same data, each by its own recipe, and compare them.
            zoo compare-models --data mine.tsv --models {MODEL},small.toml -o compared
            zoo compare-models --data mine.tsv --models {MODEL},small.toml --epochs 5 --seeds 5 -o five
            docs/compare-models.md""",
        "evaluate:evaluate": f"""Measure how well models predict data: correlations and errors with intervals.
            zoo evaluate --data mine.tsv --split all
            zoo evaluate --weights runs/mine --data mine.tsv --split-by fraction -o report
            zoo evaluate --weights runs/mine --weights {MODEL} --data mine.tsv
            docs/evaluate.md""",
    },
    "Check": {
        "evaluate:compare": """Compare two tables of predictions: correlations, differences, and a scatter plot.
            zoo compare one.tsv other.tsv
            zoo compare one.tsv other.tsv --figure scatter.pdf -o differences.tsv
            zoo compare measured.tsv one.tsv --targets dev,hk -n 20
            docs/evaluate.md""",
        "checks:parity": """Check that all runtimes give the same predictions; if not, the exit status is 1.
            zoo parity
            zoo parity --sequences seqs.fa --runtimes kmer-cpu,onnx-cpu
            zoo parity --layers
            docs/parity.md""",
        "checks:test_": """Test weights with the predictions stored beside them; if they differ, the exit status is 1.
            zoo test mine.onnx
            zoo test packed --runtimes onnx-cpu,torch-cpu
            zoo test hf:owner/name
            docs/publish.md""",
        "checks:bench": """Measure the speed and memory of each runtime, and its difference from the reference.
            zoo bench
            zoo bench --runtimes kmer-cpu,onnx-cpu --seconds 0.2
            docs/parity.md""",
        "inventory:doctor": """Show what this machine has, and what each runtime still needs.
            zoo doctor
            zoo doctor --json
            docs/parity.md""",
    },
}
"""Title of the help -> file and function of a command -> what --help says: a line, examples, and the page."""

WRITE_AT_THE_END = (
    *("predict", "variants", "scan", "explain", "motifs", "design", "evaluate", "compare", "import", "export", "page"),
    *("marginalize", "ablate", "flanks", "spacing", "pairs", "dependency", "hits"),
)
"""Commands whose output appears when all of it is written, so that an interruption leaves none. Those that keep
finished parts say themselves how to go on."""
