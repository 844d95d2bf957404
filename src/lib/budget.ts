/**
 * What input from elsewhere may cost, in one place: every reader counts against these bounds before it takes the memory or the time, and
 * what goes beyond is one kind of error that names the node, row, entry or file.
 */
import { fail } from './errors.ts';
import { say, whole } from './say.ts';

export interface Bound {
  readonly most: number;
  /** Where it grows with the input: this much for each of its bytes, when that is more than `most`. */
  readonly perByte?: number;
  /** However large the input is. */
  readonly never?: number;
  /** What is counted, in the plural: "bytes unpacked". */
  unit(): string;
  advice(): string;
}

export const BOUNDS = {
  /**
   * What opening a model computes and keeps of constants: a mask of 2,048 × 2,048 and what it is made of fits into any file, and one of
   * 4,096 × 4,096 into a file as large as models are that have such. A tensor of the file that is widened takes twice its bytes at most.
   */
  foldedBytes: {
    most: 5 * 2 ** 23,
    perByte: 2,
    unit: () => say`bytes of constants`,
    advice: () => say`the file is damaged, or it must be exported with smaller tables`,
  },
  /** All that is made of constants while a model is read, at one size after the other. */
  madeBytes: {
    most: 7 * 2 ** 23,
    perByte: 4,
    unit: () => say`bytes of constants at all sizes`,
    advice: () => say`the file is damaged, or it must be exported with smaller tables`,
  },
  /** Numbers read, written or multiplied while constants are computed: a second or two. */
  foldingSteps: {
    most: 2 ** 27,
    perByte: 16,
    unit: () => say`steps of computing constants`,
    advice: () => say`the file is damaged, or it must be exported with its constants folded`,
  },
  /** Messages of an ONNX file and what is made of them, beside its weights: 50,000 nodes with all their shapes take 12 times their bytes. */
  structureBytes: {
    most: 2 ** 25,
    perByte: 12,
    unit: () => say`bytes of nodes, attributes and shapes`,
    advice: () => say`the file is damaged, or holds very many empty entries`,
  },
  /** Nodes that functions of a file stand for, written out; large models have some ten thousand. */
  unfoldedNodes: {
    most: 20_000,
    perByte: 1 / 8,
    never: 200_000,
    unit: () => say`nodes to be written out`,
    advice: () => say`export the model without functions of its own`,
  },
  /** The settings of a link: what a page writes itself is a hundredth, and five thousand ticked modules fit in. */
  linkLetters: {
    most: 2 ** 17,
    unit: () => say`letters`,
    advice: () => say`ask whoever sent it for a shorter one`,
  },
  /** 200 runs with curves of 1,500 points take a third. */
  runsFileBytes: {
    most: 2 ** 26,
    unit: () => say`bytes of runs`,
    advice: () => say`save fewer runs at once`,
  },
  repositoryFiles: {
    most: 500_000,
    unit: () => say`files of a repository to list`,
    advice: () => say`name a smaller repository`,
  },
  /** What the values of one answer take. */
  hubAnswerValues: {
    most: 2 ** 24,
    perByte: 5,
    unit: () => say`bytes of values`,
    advice: () => say`see that it is a Hub that answers there`,
  },
  /** A page of a listing has a thousand entries of some hundred bytes. */
  hubAnswerBytes: {
    most: 2 ** 25,
    unit: () => say`bytes of an answer`,
    advice: () => say`the Hub that answers is broken; use another`,
  },
  hubPages: {
    most: 2000,
    unit: () => say`pages of an answer`,
    advice: () => say`the Hub that answers is broken; use another`,
  },
  foldersAgain: {
    most: 1000,
    unit: () => say`visits to folders that links lead to a second time`,
    advice: () => say`give a folder without such links`,
  },
  /** However small it is, to unpack one takes a third of a millisecond and 40 kB for a while. */
  packedFiles: {
    most: 1024,
    unit: () => say`gzip files to unpack`,
    advice: () => say`unpack them, or put their rows into fewer`,
  },
  /** Of zips, gzips and Parquet: tables and texts pack to a twelfth at most, and however small it is it may unpack to 8 MiB. */
  unpackedBytes: {
    most: 2 ** 23,
    perByte: 12,
    never: 2 ** 30,
    unit: () => say`bytes unpacked`,
    advice: () => say`give a smaller file, or unpack it first`,
  },
  /** What the values of a JSON text take: a tokenizer's 256,000 tokens and 580,000 merges fit in. */
  jsonBytes: {
    most: 7 * 2 ** 23,
    perByte: 5,
    unit: () => say`bytes of values`,
    advice: () => say`the file is damaged, or it must be divided into several`,
  },
  /** Of one small file beside a model or of a run, or the head of an adapter's tensors: 12,000 added tokens fit in, and 20,000 tensors. */
  settingsBytes: {
    most: 2 ** 24,
    perByte: 5,
    unit: () => say`bytes of values`,
    advice: () => say`take the file anew from where it came from`,
  },
  /** A token takes some 310 bytes while it is read, however short it is; large vocabularies have 19 letters of their file for each, or more. */
  vocabularyTokens: {
    most: 2 ** 17,
    perByte: 1 / 17,
    unit: () => say`tokens`,
    advice: () => say`the file is damaged; export it again with the tokenizers library`,
  },
  /** Of all tables of a dataset together. */
  tablesJsonBytes: {
    most: 7 * 2 ** 23,
    perByte: 5,
    unit: () => say`bytes of values`,
    advice: () => say`give fewer files, or larger ones with fewer lists`,
  },
  /** Of one tokenizer, sets of characters that the library writes out; a boundary of a word has four, and each takes a millisecond's third to read. */
  patternSets: {
    most: 1000,
    unit: () => say`sets of characters in its patterns`,
    advice: () => say`the file is damaged; export it again with the tokenizers library`,
  },
  tokenIds: {
    most: 65_536,
    unit: () => say`ids without a token`,
    advice: () => say`the file is damaged; export it again with the tokenizers library`,
  },
  normalisedLetters: {
    most: 65_536,
    perByte: 32,
    unit: () => say`letters`,
    advice: () => say`take another tokenizer`,
  },
  renderingSteps: {
    most: 400_000,
    unit: () => say`steps of rendering`,
    advice: () => say`take the model from elsewhere, or another chat template`,
  },
  /** Of all conversations of a dataset, beside what is granted to each rendering: some hundred steps, and one for each of its letters or two. */
  datasetRendering: {
    most: 2_000_000,
    unit: () => say`steps of rendering a dataset`,
    advice: () => say`take the model from elsewhere, or another chat template`,
  },
  matchingSteps: {
    most: 1_000_000,
    unit: () => say`steps of matching`,
    advice: () => say`write an expression with fewer repetitions or smaller numbers in braces`,
  },
  /** A photo of 64 megapixels fits in, and a page that is scanned in black and white. */
  picturePixels: {
    most: 7_000_000,
    perByte: 64,
    never: 2 ** 26,
    unit: () => say`pixels`,
    advice: () => say`make the picture smaller`,
  },
  /** The decoder for where there is no browser takes about 40 bytes for each. */
  jpegPixels: {
    most: 1_500_000,
    perByte: 40,
    never: 2 ** 26,
    unit: () => say`pixels of JPEG`,
    advice: () => say`make the picture smaller, save it at a higher quality, or open it in the page`,
  },
  pictureSide: {
    most: 2 ** 16,
    unit: () => say`pixels on a side`,
    advice: () => say`make the picture smaller`,
  },
  /** What a model takes, and what pictures are resized to on the way: 2,048 is much. */
  modelSide: {
    most: 2 ** 12,
    unit: () => say`pixels on a side of what the model takes`,
    advice: () => say`mend preprocessor_config.json`,
  },
  modelPicture: {
    most: 2 ** 24,
    unit: () => say`numbers for one picture`,
    advice: () => say`export the model for smaller pictures`,
  },
  /** Progressive photos have ten or so. */
  picturePasses: { most: 64, unit: () => say`scans of one picture`, advice: () => say`save it again` },
  /** Of all pictures of a dataset: drawings pack to a hundredth, photos to a fifth. */
  decodedPixels: {
    most: 2 ** 27,
    perByte: 200,
    unit: () => say`pixels of pictures`,
    advice: () => say`make the pictures smaller, or give fewer`,
  },
  /** Pictures as they stay in memory, at the model's size or at their own, whichever is smaller: photos take 30 of each of their bytes. */
  keptBytes: {
    most: 2 ** 25,
    perByte: 32,
    never: 2 ** 31,
    unit: () => say`bytes of pictures in memory`,
    advice: () => say`give fewer pictures, or a model that takes smaller ones`,
  },
  /** A chapter of Chinese on one line has some ten thousand. */
  unbrokenLetters: {
    most: 2 ** 18,
    unit: () => say`letters in one word or one white space`,
    advice: () => say`if it is text, divide it into words and lines`,
  },
  /** A string has half a gigabyte at most, and a table is read from copies of its parts. */
  textBytes: { most: 2 ** 28, unit: () => say`bytes of text`, advice: () => say`give it in several files` },
  /** Of all files together; each takes some hundred bytes before its text does. */
  tableRows: {
    most: 65_536,
    perByte: 1 / 32,
    never: 2_000_000,
    unit: () => say`rows`,
    advice: () => say`give fewer rows, or longer ones`,
  },
  /** A rank for each of a thousand layers, with the path of each, takes a tenth. */
  configLetters: {
    most: 2 ** 20,
    unit: () => say`letters of a configuration`,
    advice: () => say`name layers by expressions in place of one by one`,
  },
  /** One for each triplet of AdaLoRA's rank_pattern: 280 modules of 256 have 72,000. */
  configValues: {
    most: 2 ** 17,
    unit: () => say`values of a configuration`,
    advice: () => say`name layers by expressions in place of one by one`,
  },
  columns: { most: 10_000, unit: () => say`columns`, advice: () => say`give the columns that count` },
  /** Rows times columns, or values where there are lists: what a packed table may come to, and no table more than two million rows of 16. */
  tableCells: {
    most: 2 ** 21,
    perByte: 2,
    never: 2 ** 25,
    unit: () => say`cells`,
    advice: () => say`give fewer rows or columns`,
  },
} as const satisfies Readonly<Record<string, Bound>>;

export type BoundName = keyof typeof BOUNDS;

/** The bound for an input of so many bytes. */
export function mostFor(name: BoundName, inputBytes: number): number {
  const { most, perByte = 0, never = Number.POSITIVE_INFINITY }: Bound = BOUNDS[name];
  return Math.min(never, Math.max(most, Math.floor(perByte * inputBytes)));
}

const words = (n: number): string => (Number.isFinite(n) ? whole(n) : say`endless`);

/**
 * `count` if it is within the bound.
 *
 * @param where what asks for it, as the sentence's subject: "Node Range_3 (Range)", "row 7 of labels.csv"
 * @param inputBytes of what is read, for bounds that grow with it
 * @throws PapilioError 'too-large'
 */
export function within(name: BoundName, count: number, where: string, inputBytes = 0): number {
  const { unit, advice }: Bound = BOUNDS[name];
  const most = mostFor(name, inputBytes);
  // Written so that NaN is beyond every bound.
  if (!(count <= most))
    fail(
      'too-large',
      say`${where} asks for ${words(count)} ${unit()}, and the most is ${words(most)}; ${advice()}.`,
      {
        bound: name,
        count,
        most,
      },
    );
  return count;
}

/** Counts what several takers use of one bound together. */
export interface Budget {
  /** @throws PapilioError 'too-large' naming the taker that went beyond */
  take(count: number, where: string): void;
}

export function createBudget(name: BoundName, inputBytes = 0): Budget {
  let used = 0;
  return {
    take(count, where) {
      used = within(name, used + count, where, inputBytes);
    },
  };
}
