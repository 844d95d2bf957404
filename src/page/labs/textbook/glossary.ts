/** The glossary: one sentence for each term that the pages use. Its names are those of src/languages/terms, with a hyphen for a space. */
import { say } from '../../../common.ts';

interface Entry {
  readonly word: () => string;
  readonly means: () => string;
}

export const GLOSSARY = {
  adapter: {
    word: () => say`adapter`,
    means: () => say`A few numbers that train beside a model, whose own weights stay as they are.`,
  },
  angle: {
    word: () => say`angle`,
    means: () =>
      say`How far two directions point apart: 0° where they are the same, 90° where neither has anything of the other.`,
  },
  'block-size': {
    word: () => say`block size`,
    means: () => say`How many inputs one small rotation mixes; in formulas b.`,
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
  factor: {
    word: () => say`factor`,
    means: () => say`One of the matrices that are multiplied to make a larger one; BOFT has m of them.`,
  },
  'fine-tuning': {
    word: () => say`fine-tuning`,
    means: () => say`Training a finished model a little further, for a task of one’s own.`,
  },
  frequency: {
    word: () => say`frequency of a wave`,
    means: () =>
      say`How many times a wave rises and falls down the rows of a matrix, and how many times along its columns.`,
  },
  gradient: {
    word: () => say`gradient`,
    means: () => say`For every trained number, how fast the loss rises as the number does.`,
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
  neuron: {
    word: () => say`neuron`,
    means: () => say`What one output of a layer reads its inputs with: one row of the weights.`,
  },
  orthogonal: {
    word: () => say`orthogonal`,
    means: () => say`A matrix is orthogonal where it changes no length and no angle: RᵀR = I.`,
  },
  parameter: {
    word: () => say`parameter`,
    means: () => say`A number that training moves.`,
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
  seed: {
    word: () => say`seed`,
    means: () => say`The number that random numbers are drawn from: the same seed draws the same ones.`,
  },
  series: {
    word: () => say`series`,
    means: () =>
      say`A sum of powers, here of Q, that comes to the Cayley transform where Q is small; PEFT’s OFT takes a few terms of it.`,
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
  weight: {
    word: () => say`weight`,
    means: () => say`A number by which a layer multiplies one of its inputs.`,
  },
} as const satisfies Readonly<Record<string, Entry>>;

export type TermName = keyof typeof GLOSSARY;
