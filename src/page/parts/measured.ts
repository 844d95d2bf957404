/** How every number on screen was got, in a sentence or two, by the name under which the page asks for it. */
import { say } from '../../common.ts';

export const MEASURED = {
  // A run.
  loss: () =>
    say`The mean loss of each step’s batch, as the engine computed it in that step, before its update. Shown is its de-biased exponential moving average, with β as the slider under the chart has it.`,
  'held-out': () =>
    say`Measured by the engine that trains, on examples that are never learnt from: the same ones before, during and after.`,
  answer: () =>
    say`Read off the run on screen and the latest finished runs of this page on the same model and data, of as many steps. What the wiring reaches, and how sparse it is, is counted in the method’s own pattern. Two shares count as different where they are further apart than 95 of 100 draws of as many examples would leave them.`,
  pace: () =>
    say`The median time of the last 20 steps, by the clock of the worker that trains. The first 10 steps of a sitting pay for warming up and do not count; pauses do not either.`,
  'pace-curve': () =>
    say`At each step the tokens or examples of the 20 steps before it, over the time that they took by the clock of the worker that trains. Evaluations and pauses are no part of that time.`,
  'change-curve': () =>
    say`At every evaluation, on the device that trains: the root of the sum of squares of ΔW over that of the base weights, of all adapted modules together, in 32 bits. Of a model with more than four million adapted weights these are the first modules alone.`,
  'orthogonality-curve': () =>
    say`At every evaluation, on the device that trains: the largest ‖RᵀR − I‖ of the adapted modules, computed in 32 bits, whose rounding alone makes some 1e-6. Of wide models these are the first modules alone.`,
  'time-left': () =>
    say`The steps that are still to come times that pace. Evaluations on the way are not in it.`,
  machine: () =>
    say`Memory: the buffers that the page holds on the GPU, added up. Dispatches: counted in the plan of a step. Submits: counted while the last step was sent.`,
  'kept-runs': () =>
    say`Each as its own run had it. Held out: the last score, on examples that are never learnt from. Parameters: counted, those that are free. Time: by the worker’s clock, without pauses and without opening the model. A step: the median of the last 20. Memory: on a GPU the most bytes of buffers at once; of runs on the processor it is measured under the table.`,
  'processor-memory': () =>
    say`The size of WebAssembly’s memory, with onnxruntime itself in it, after the run’s first two steps and an evaluation between them. They are made again in a worker of their own, since that memory never shrinks and earlier work has grown it. Texts of other lengths can take more later.`,
  'sweep-time': () =>
    say`Steps to come times a pace: the median step of the newest kept run on the same model and data, of the same method where there is one, longer for larger batches; else the forecast’s.`,
  storage: () =>
    say`What the browser says that it keeps for this page in all, models and checkpoints too, and how much it would keep at most.`,
  'forecast-bytes': () =>
    say`Planned, not measured: the run’s graph is made and scheduled as for training, and the sizes of its buffers are added up. The largest buffer allowed is what the device says.`,
  'forecast-time': () =>
    say`On a GPU the nodes of the step’s own graph are timed on this device, each kind once at its own sizes, and counted as often as the step has them. On the processor the step itself is timed, or, where it is long, two smaller batches.`,
  'forecast-beside': () =>
    say`Left what was planned before the run, right what the run takes: the most bytes of buffers that were held at once, and the median time of the last 20 steps.`,
  speed: () =>
    say`The chosen method and LoRA of about as many numbers make steps of the chosen task in turns, five times half a second each; shown is the median. Dispatches, submits and memory are counted, not timed.`,
  kernels: () =>
    say`Each kernel runs at its own sizes many times in a row between two timestamps of the GPU, in three turns; the best counts. The roofline is the best rate that any kernel reached in the same minutes.`,
  timeline: () =>
    say`Every bar has the time of its kernel from that list, set in the order of the step. The sum leaves out copies and what passes between kernels; the step’s own time has both.`,
  tuning: () =>
    say`Candidates for each class of products are timed in turns on this device: between timestamps, or, without those, by the difference of a long and a short row.`,
  // Parity and the merged file.
  'parity-relative': () =>
    say`The largest difference between the trainer’s answers and the merged file’s in onnxruntime, over the largest answer of that output, on the same inputs.`,
  'parity-absolute': () => say`The same difference as it is, in the unit of the answer.`,
  'parity-bound': () =>
    say`The bound of 32 bits, or, for a file that keeps or computes something in fewer bits, a small multiple of what such rounding was seen to do to the file before training and to one with last bits moved.`,
  'weights-changed': () => say`Counted: the initialisers of the file that are not bit for bit as they were.`,
  writing: () =>
    say`Counted in onnxruntime’s worker: new tokens over the time since the prompt was read. The first token is part of reading the prompt.`,
  odds: () =>
    say`Both texts are read once by each model, in the engine that trains: the softmax of its answers at the token before, at temperature 1, whatever the text was written with. Colours say by how many times one of the two probabilities is the other.`,
  answers: () =>
    say`The probabilities of both models on the same inputs, from the engine that trains. They are of few examples; the held-out score is of more.`,
  // What was learnt.
  change: () =>
    say`The root of the sum of squares of ΔW over that of the base weight; ΔW is read from the engine in 32 bits, the sums are in float64.`,
  orthogonality: () =>
    say`The root of the sum of squares of all entries of RᵀR − I, in float64, for the R that the engine computed in 32 bits: 0 for a perfect rotation, some 1e-6 for one in 32 bits.`,
  angle: () =>
    say`The largest angle by which R turns any direction: from the largest singular value of R − I, found by power iteration in float64.`,
  frequencies: () =>
    say`Counted: the coefficients that the adapter learns for this layer, and of those, where some can be switched off, the ones that count.`,
  rank: () => say`How many singular values of ΔW stand above what rounding the weight to 32 bits explains.`,
  energy: () =>
    say`Hyperspherical energy of the neurons, as in the papers of OFT and BOFT, before and after, in float64; the change is of its own size.`,
  'angles-moved': () =>
    say`By how much the angle between any two neurons changed, at most and on average, over the pairs that the table below counts.`,
  'best-rank': () =>
    say`The share of ‖ΔW‖² in the largest singular values, as many as the rank of a LoRA that keeps about as many numbers.`,
  // Counts that follow from settings.
  trainable: () =>
    say`Counted from the settings and the model’s layers, before anything runs. Stored: numbers kept in memory and in the adapter file. Free: numbers that can have an effect. A b × b block is stored whole, but only its skew part, b(b−1)/2 numbers, turns anything. Papers often count the free ones. Bytes are the stored numbers in 32 bits, and what the optimiser keeps of each.`,
  reach: () =>
    say`Counted in the wiring, without a run: which entries of the product can differ from zero, and how many outputs an input reaches.`,
  'free-numbers': () =>
    say`Counted from b and m alone: m · (d / b) blocks of b(b−1)/2 numbers each, or one block where all are shared.`,
  'model-facts': () =>
    say`Read in the file: the numbers of its weights, its bytes, and the modules that were found in it.`,
  'adapter-score': () =>
    say`Measured when you asked: the bound model without and with the adapter on the same held-out examples, by the engine that trains.`,
  'adapter-size': () => say`Counted: the numbers in the adapter’s file.`,
} as const;

export type MeasuredName = keyof typeof MEASURED;
