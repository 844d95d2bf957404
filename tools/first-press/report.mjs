/** docs/first-press.md, from the records of docs/first-press.json. */

const share = (value) => `${(100 * value).toFixed(1)} %`;
const seconds = (value) => `${value.toFixed(1)} s`;

const row = ({ browser, hardware, load, date, preset, head }) =>
  [
    browser,
    preset.machine,
    seconds(preset.firstLoss),
    `${share(preset.firstScore.score)} at step ${preset.firstScore.step}, after ${seconds(preset.firstScore.seconds)}`,
    `${share(preset.atMinute.score)} at step ${preset.atMinute.step}`,
    `${share(preset.end.score)} after ${seconds(preset.seconds)}`,
    share(preset.end.before),
    `${share(head.end.score)} after ${seconds(head.seconds)}`,
    hardware,
    load.toFixed(1),
    date,
  ].join(' | ');

/** @param records of ways, in the order of the rows */
export function reportOf(records) {
  const [{ preset }] = records;
  return [
    '# The first minute',
    '',
    `Written by \`npm run first-press\`: one press of Train on the first preset, on the built page in a fresh profile. ${preset.end.total} steps with all evaluations, each on ${preset.end.examples} held-out letters, at the preset's own seed. Seconds are of the clock from the press, and hold loading, compiling and evaluating. The last columns but three are the model as it is, and the same number of steps of a head alone at its best rate of five ([figures.md](figures.md)), with its own seconds. Load is how many programs wanted a processor in the minute before.`,
    '',
    `| browser | trained by | first loss | first score after the start | after 60 s | all ${preset.end.total} steps | base model | head alone | hardware | load | date |`,
    '|---|---|---|---|---|---|---|---|---|---|---|',
    ...records.map((record) => `| ${row(record)} |`),
    '',
  ].join('\n');
}
