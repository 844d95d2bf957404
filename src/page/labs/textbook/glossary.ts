/** The glossary: one sentence for each term that the pages use. Its names are those of src/languages/terms, with a hyphen for a space. */
import { say } from '../../../common.ts';

interface Entry {
  readonly word: () => string;
  readonly means: () => string;
}

export const GLOSSARY = {
  activation: {
    word: () => say`activation`,
    means: () =>
      say`What a layer hands on to the next: numbers that come of the example, while the weights stay.`,
  },
  AdamW: {
    word: () => say`AdamW`,
    means: () =>
      say`How a step of training moves the numbers: against their gradients, smoothed over the steps before and brought to about one size for all.`,
  },
  adapter: {
    word: () => say`adapter`,
    means: () => say`A few numbers that train beside a model, whose own weights stay as they are.`,
  },
  angle: {
    word: () => say`angle`,
    means: () =>
      say`How far two directions point apart: 0° where they are the same, 90° where neither has anything of the other.`,
  },
  batch: {
    word: () => say`batch`,
    means: () => say`The examples that one step of training looks at together.`,
  },
  'bit-reversed': {
    word: () => say`bit-reversed`,
    means: () =>
      say`In the order of numbers whose binary digits are read backwards: of eight inputs 0, 4, 2, 6, 1, 5, 3, 7.`,
  },
  'block-diagonal': {
    word: () => say`block-diagonal`,
    means: () =>
      say`A matrix is block-diagonal where small square matrices stand along its diagonal and zeros elsewhere.`,
  },
  'block-size': {
    word: () => say`block size`,
    means: () => say`How many inputs one small rotation mixes; in formulas b.`,
  },
  BOFT: {
    word: () => say`BOFT`,
    means: () =>
      say`Orthogonal fine-tuning with butterflies: its rotation is a product of factors with small blocks, wired so that every input can reach every output.`,
  },
  butterfly: {
    word: () => say`butterfly`,
    means: () =>
      say`The wiring of the fast Fourier transform: each factor joins inputs that lie twice as far apart as those of the factor before.`,
  },
  'Cayley-transform': {
    word: () => say`Cayley transform`,
    means: () =>
      say`Makes a rotation of any skew-symmetric matrix: R = (I − Q)(I + Q)⁻¹. It reaches every rotation but those that turn a plane by 180°.`,
  },
  coefficient: {
    word: () => say`coefficient`,
    means: () => say`How high one wave is; FourierFT trains one for each of its frequencies.`,
  },
  'cross-entropy': {
    word: () => say`cross-entropy`,
    means: () =>
      say`The loss of classes and words: minus the logarithm of the probability that the model gives to the right one, as a mean over examples.`,
  },
  dense: {
    word: () => say`dense`,
    means: () => say`A matrix is dense where every entry can differ from zero.`,
  },
  engine: {
    word: () => say`engine`,
    means: () =>
      say`The part of Papilio that computes and trains: on a GPU by WebGPU, or on the processor by onnxruntime.`,
  },
  factor: {
    word: () => say`factor`,
    means: () => say`One of the matrices that are multiplied to make a larger one; BOFT has m of them.`,
  },
  'fine-tuning': {
    word: () => say`fine-tuning`,
    means: () => say`Training a finished model a little further, for a task of one’s own.`,
  },
  float64: {
    word: () => say`float64`,
    means: () =>
      say`Numbers of 64 bits, with about 16 digits; the engine has 32 bits, about 7 digits, and is held against them.`,
  },
  'Fourier-transform': {
    word: () => say`Fourier transform`,
    means: () =>
      say`Finds the waves that a list or a matrix is a sum of; the inverse transform adds the waves up again.`,
  },
  FourierFT: {
    word: () => say`FourierFT`,
    means: () =>
      say`Fourier fine-tuning: adds a sum of a few waves to a weight, and trains how high each of them is.`,
  },
  frequency: {
    word: () => say`frequency of a wave`,
    means: () =>
      say`How many times a wave rises and falls down the rows of a matrix, and how many times along its columns.`,
  },
  frozen: {
    word: () => say`frozen`,
    means: () => say`Not trained: the numbers stay as they came.`,
  },
  'full-fine-tuning': {
    word: () => say`full fine-tuning`,
    means: () => say`Training every number of a weight, or of a whole model, with no adapter beside it.`,
  },
  gradient: {
    word: () => say`gradient`,
    means: () => say`For every trained number, how fast the loss rises as the number does.`,
  },
  'gradient-descent': {
    word: () => say`gradient descent`,
    means: () =>
      say`Training in small steps: each moves every number a little against its gradient, so that the loss falls.`,
  },
  'Hadamard-matrix': {
    word: () => say`Hadamard matrix`,
    means: () =>
      say`A square matrix of 1 and −1 whose rows are at right angles to each other; over the root of its size it is orthogonal.`,
  },
  head: {
    word: () => say`head`,
    means: () =>
      say`The last layer of a model: it makes scores for classes or words of what the layers before it have found. A task with other classes needs a new one.`,
  },
  'held-out': {
    word: () => say`held out`,
    means: () =>
      say`Kept aside: examples that training never sees, so that the answers to them show what was learnt and not what was memorised.`,
  },
  'hyperspherical-energy': {
    word: () => say`hyperspherical energy`,
    means: () =>
      say`One number for how evenly neurons point in all directions: each is brought to length 1, and 1 over the distance is added up over all pairs.`,
  },
  identity: {
    word: () => say`identity`,
    means: () =>
      say`The matrix that changes nothing, I; a rotation that has not been trained yet is the identity.`,
  },
  inverse: {
    word: () => say`inverse`,
    means: () => say`The matrix that undoes another: their product is the identity.`,
  },
  kernel: {
    word: () => say`kernel`,
    means: () =>
      say`A short program that runs on a GPU, many times side by side; WebGPU calls its text a shader.`,
  },
  layer: {
    word: () => say`layer`,
    means: () => say`One step of a model; here one that multiplies its inputs by a matrix of weights.`,
  },
  'learning-rate': {
    word: () => say`learning rate`,
    means: () => say`How far one step of training moves the numbers.`,
  },
  LoRA: {
    word: () => say`LoRA`,
    means: () =>
      say`Low-rank adaptation: adds the product of two thin matrices to a weight, and trains these two.`,
  },
  loss: {
    word: () => say`loss`,
    means: () => say`One number for how wrong a model’s answers are; training makes it smaller.`,
  },
  'low-rank': {
    word: () => say`low rank`,
    means: () =>
      say`A matrix has low rank where it is the product of a tall one and a wide one with few numbers between them.`,
  },
  merge: {
    word: () => say`merge`,
    means: () =>
      say`To put what an adapter has learnt into the weights themselves, once and for all: the same answers, and no adapter left.`,
  },
  'multiply-add': {
    word: () => say`multiply-add`,
    means: () => say`One product and one sum, of which nearly all the work of a layer consists.`,
  },
  neuron: {
    word: () => say`neuron`,
    means: () => say`What one output of a layer reads its inputs with: one row of the weights.`,
  },
  OFT: {
    word: () => say`OFT`,
    means: () =>
      say`Orthogonal fine-tuning: turns all neurons of a layer by one rotation, made of small blocks, and trains these.`,
  },
  ONNX: {
    word: () => say`ONNX`,
    means: () => say`A format of files for models, which many programs write and run.`,
  },
  onnxruntime: {
    word: () => say`onnxruntime`,
    means: () => say`A program that runs ONNX files, here in the browser and on the processor.`,
  },
  operator: {
    word: () => say`op`,
    means: () =>
      say`One kind of computation, such as a product of matrices, with its gradient; models are put together from them.`,
  },
  orthogonal: {
    word: () => say`orthogonal`,
    means: () => say`A matrix is orthogonal where it changes no length and no angle: RᵀR = I.`,
  },
  parameter: {
    word: () => say`parameter`,
    means: () => say`A number that training moves.`,
  },
  PEFT: {
    word: () => say`PEFT`,
    means: () =>
      say`Hugging Face’s Python library of such methods, parameter-efficient fine-tuning; names, defaults and files here are its own.`,
  },
  permutation: {
    word: () => say`permutation`,
    means: () => say`A matrix that only changes the order of its inputs: one 1 in each row and each column.`,
  },
  rank: {
    word: () => say`rank`,
    means: () =>
      say`How many directions a matrix can write in: as many as its singular values that are not zero.`,
  },
  rotation: {
    word: () => say`rotation`,
    means: () => say`A matrix that turns all directions together: it is orthogonal, and mirrors nothing.`,
  },
  rounding: {
    word: () => say`rounding`,
    means: () => say`What is lost because a number has only so many digits.`,
  },
  scaling: {
    word: () => say`scaling`,
    means: () =>
      say`What an adapter’s change is multiplied by; it is set before training and stays; in formulas α.`,
  },
  seed: {
    word: () => say`seed`,
    means: () => say`The number that random numbers are drawn from: the same seed draws the same ones.`,
  },
  series: {
    word: () => say`series`,
    means: () =>
      say`A sum of powers, here of Q, that comes to the Cayley transform where Q is small; PEFT’s OFT takes a few terms of it.`,
  },
  shader: {
    word: () => say`shader`,
    means: () => say`The text of a kernel, in WGSL, the language of WebGPU.`,
  },
  'singular-value': {
    word: () => say`singular value`,
    means: () =>
      say`How strongly a matrix stretches in one of its directions; as many of them are not zero as its rank.`,
  },
  'skew-symmetric': {
    word: () => say`skew-symmetric`,
    means: () =>
      say`A matrix is skew-symmetric where below the diagonal stands what is above it with the other sign: Qᵀ = −Q.`,
  },
  softmax: {
    word: () => say`softmax`,
    means: () =>
      say`Makes probabilities of scores: e to the power of each, over the sum of them all, so that together they come to 1.`,
  },
  spectrum: {
    word: () => say`spectrum`,
    means: () => say`How much of each wave is in a matrix: its coefficients, all together.`,
  },
  transpose: {
    word: () => say`transpose`,
    means: () => say`A matrix with its rows made columns, Rᵀ; of a rotation it is the inverse.`,
  },
  'warm-up': {
    word: () => say`warm-up`,
    means: () => say`The first steps of training, over which the learning rate rises from nearly nothing.`,
  },
  WebGPU: {
    word: () => say`WebGPU`,
    means: () => say`What lets a page in a browser compute on the GPU.`,
  },
  weight: {
    word: () => say`weight`,
    means: () => say`A number by which a layer multiplies one of its inputs.`,
  },
} as const satisfies Readonly<Record<string, Entry>>;

export type TermName = keyof typeof GLOSSARY;
