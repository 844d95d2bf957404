/** What a picture can be taken away as: PNG of its canvases, its numbers as CSV and .npy. */
import { inEnglish, say } from '../../common.ts';
import { saveFile } from '../exports.ts';
import type { NumberTable } from './chartNumbers.ts';
import { fileStem, matrixCsv, type Numbers, npyOf, tableCsv } from './numberFiles.ts';
import type { SaveItem } from './SaveMenu.tsx';

/** Pixels of a saved picture along its longer side, at least. */
const LEAST_SIDE = 768;

/** What an element stands on: the first colour on the way up. */
function groundOf(element: Element): string {
  for (let one: Element | null = element; one !== null; one = one.parentElement) {
    const { backgroundColor } = getComputedStyle(one);
    if (!/^(transparent|rgba\(.*, 0\))$/.test(backgroundColor)) return backgroundColor;
  }
  return 'white';
}

/** Canvases of one size laid over each other; a small one is drawn larger, its pixels kept square. */
function png(layers: readonly HTMLCanvasElement[]): Promise<Blob> {
  const { width, height } = layers[0]!;
  const times = Math.max(1, Math.ceil(LEAST_SIDE / Math.max(width, height)));
  const whole = document.createElement('canvas');
  whole.width = width * times;
  whole.height = height * times;
  const context = whole.getContext('2d')!;
  context.fillStyle = groundOf(layers[0]!);
  context.fillRect(0, 0, whole.width, whole.height);
  context.imageSmoothingEnabled = false;
  for (const layer of layers) context.drawImage(layer, 0, 0, whole.width, whole.height);
  return new Promise((resolve, reject) =>
    whole.toBlob(
      (blob) => (blob ? resolve(blob) : reject(new Error(say`the browser made no picture`))),
      'image/png',
    ),
  );
}

/** What a picture is called on screen, and its file after it; as it is called when it is saved, where that changes. */
type Label = string | (() => string);

const stemOf = (label: Label): string => fileStem(typeof label === 'string' ? label : label());

export const pngItem = (label: Label, layers: () => readonly HTMLCanvasElement[]): SaveItem => ({
  title: say`Save picture (PNG)`,
  run: async () => saveFile(`${stemOf(label)}.png`, await png(layers())),
});

export const tableItem = (label: string, table: () => NumberTable): SaveItem => ({
  title: say`Save numbers (CSV)`,
  run: () =>
    saveFile(
      `${fileStem(label)}.csv`,
      inEnglish(() => tableCsv(table())),
      'text/csv',
    ),
});

/** Each number as it is in memory, however small the picture. */
export const matrixItems = (label: Label, numbers: () => Numbers): readonly SaveItem[] => [
  {
    title: say`Save numbers (CSV)`,
    run: () => saveFile(`${stemOf(label)}.csv`, new Blob([...matrixCsv(numbers())], { type: 'text/csv' })),
  },
  { title: say`Save numbers (.npy)`, run: () => saveFile(`${stemOf(label)}.npy`, npyOf(numbers())) },
];
