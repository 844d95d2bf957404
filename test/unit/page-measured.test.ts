/**
 * Every number on screen says how it was got: read off the components. Seen to fail with: a part that shows a measured time and no way to how, an
 * explanation that nothing asks for, an exception that is none.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MEASURED } from '../../src/page/parts/measured.ts';

const FOLDER = 'src/page';
const parts = new Map(
  readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.tsx'))
    .map((path) => [path.replaceAll('\\', '/'), readFileSync(join(FOLDER, path), 'utf8')] as const),
);

/** What a number passes on its way to the screen. */
const FORMATS = [
  'bytes',
  'percent',
  'real',
  'power',
  'rate',
  'brief',
  'duration',
  'scoreText',
  'count',
  'whole',
];

/** Parts that show numbers and explain none of them, and why. */
const PLAIN: Readonly<Record<string, string>> = {
  'Ambient.tsx': 'says aloud what the figures of the run show',
  'features/training/Training.tsx': 'how far a download, a compilation or a run has come',
  'features/training/LastStep.tsx': 'the figures of the last step, as its curves have them',
  'features/training/Drawn.tsx': 'the figures of the run, of every run that is drawn',
  'features/training/CurveTable.tsx': 'the figures of the run, step by step',
  'features/hub/Hub.tsx': 'sizes and counts as the Hub tells them',
  'features/setup/Targets.tsx': 'a layer’s share of the total, which explains itself below',
  'features/setup/Method.tsx': 'the learning rate that is set',
  'features/inspect/Factors.tsx': 'sizes of the matrices that are drawn',
  'features/butterfly/FactorMaps.tsx': 'sizes and numbers of the matrices that are drawn',
  'features/butterfly/Steps.tsx': 'bytes of what was recorded',
  'features/runs/RunDetails.tsx': 'the parameters of a run, as its row in the table above has them',
  'features/weights/MoreFrequencies.tsx':
    'the number of a frequency in the order that a seed draws, and how many a run would have',
  'features/merge/Downloads.tsx': 'sizes of the files to be saved',
  'labs/first/FirstLab.tsx': 'the accuracies of the curve above it, which says how they were got',
  'labs/first/FirstQuestions.tsx': 'the numbers of the run’s own figures, in the reply to an answer',
  'labs/first/MethodChoice.tsx': 'numbers of the formula beside it, and of the model as the file has them',
  'labs/first/RunLine.tsx': 'how far a download has come',
  'labs/forgetting/ForgettingQuestions.tsx': 'the numbers of the figures above, in the reply to an answer',
  'labs/shader/Verdict.tsx': 'cells that were checked, counted, and the budget of a loop',
  'labs/textbook/oft/OftPage.tsx': 'a number of the formula in its own sentence',
  'lessons/HandOut.tsx': 'letters of a link, counted',
  'parts/FileDrop.tsx': 'sizes of the files that were dropped',
  'parts/RoomLeft.tsx': 'the room that the tab of all runs shows and explains',
  'parts/NumbersDialog.tsx': 'the numbers of a chart, which is explained where it stands',
};

const showsNumbers = (text: string): boolean => {
  const [, names = ''] = /import \{([^}]*)\} from '[./]+format\.ts'/.exec(text) ?? [];
  return names.split(',').some((name) => FORMATS.includes(name.trim()));
};

const keysIn = (text: string): string[] =>
  [...text.matchAll(/<(?:Measured|Figure)\b[^>]*?\b(?:of|how)="([\w-]+)"/g)].map(([, key]) => key!);

/** A sentence to each column or figure, in the part itself. */
const explainsItself = (text: string): boolean =>
  text.includes('How each number was got') || text.includes('the largest error over the largest number');

describe('numbers on screen', () => {
  test('say how they were got, or are exceptions with a reason', () => {
    const silent = [...parts]
      .filter(([, text]) => showsNumbers(text) && keysIn(text).length === 0 && !explainsItself(text))
      .map(([path]) => path);
    expect(silent.sort()).toEqual(Object.keys(PLAIN).sort());
  });

  test('that are figures name their explanation, each of them', () => {
    let figures = 0;
    for (const [path, text] of parts) {
      const shown = [...text.matchAll(/<Figure\b/g)].length;
      const named = [...text.matchAll(/<Figure\b[^>]*?\bhow="/g)].length;
      expect(named, path).toBe(shown);
      figures += shown;
    }
    expect(figures).toBeGreaterThan(20);
  });

  test('ask for every explanation that there is, and for no other', () => {
    const asked = new Set([...parts.values()].flatMap(keysIn));
    expect([...asked].sort()).toEqual(Object.keys(MEASURED).sort());
  });

  test('are explained in sentences', () => {
    for (const [key, say] of Object.entries(MEASURED)) {
      const words = say();
      expect(words, key).toMatch(/^[A-Z].*\.$/s);
      expect(words.length, key).toBeLessThan(420);
    }
  });
});
