/** `npm run fuzz`: spoiled inputs through every door of the program, each under a bound on time and memory. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { argv, exit, stderr, stdout } from 'node:process';
import { readCases, writeCase } from './cases.ts';
import type { Door } from './door.ts';
import { DOORS, doorNamed } from './doors/index.ts';
import { FIXTURES, ROOT } from './place.ts';
import { createPool, type Pool } from './pool.ts';
import { count, type DoorReport, emptyReport, groupsOf, tableOf } from './report.ts';
import { inputOf, isFailure, type Trial } from './trial.ts';
import { startWorker } from './worker.ts';

const HELP = `npm run fuzz -- TARGET COUNT SEED [--json]
npm run fuzz -- TARGET --replay FILE [--json]
npm run fuzz -- cases [--json]

Spoils inputs and opens them as the program does. Each must be read or refused by a sentence of the program's own,
within 5 s of computing and with no more memory than 4 times the input, or what an archive unpacks to, and 64 MiB. The same seed gives the same inputs.
A failing input is written to out/fuzz, from where --replay opens it again. "cases" opens all that ever failed.
With "all", COUNT is shared out among the doors, each at least min(3000, COUNT / doors).

${DOORS.map(({ name, about }) => `  ${name.padEnd(15)} ${about}`).join('\n')}
`;

/** Each takes its time, twice; a door that hangs more often is given up. */
const MOST_HANGS = 12;
/** Nobody looks at more of one door. */
const MOST_FILES = 40;
const LEAST_EACH = 3000;
const CASES = join(FIXTURES, 'fuzz');

/** Only what fails in a fresh process as well: what a busy machine or an earlier trial did is no finding. */
async function confirmed(
  pool: Pool,
  door: string,
  seed: number,
  trial: Trial,
  file?: string,
): Promise<Trial> {
  if (trial.end === 'untyped') return trial;
  let again: Trial = trial;
  pool.renew();
  const job = { door, seed, from: trial.index, count: 1, ...(file === undefined ? {} : { file }) };
  await pool.run(job, (t) => {
    again = t;
    return true;
  });
  return again;
}

function keep(door: Door, seed: number, trial: Trial): string {
  const folder = join(ROOT, 'out', 'fuzz');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${door.name}-${seed}-${trial.index}.json`);
  const was = `${trial.end}: ${trial.message?.split('\n')[0] ?? ''}`;
  writeFileSync(path, writeCase({ door: door.name, was, input: inputOf(door, seed, trial.index) }));
  return relative(ROOT, path);
}

async function fuzzDoor(pool: Pool, door: Door, many: number, seed: number): Promise<DoorReport> {
  const report = emptyReport(door.name, seed);
  const start = performance.now();
  const doubtful: Trial[] = [];
  const job = { door: door.name, seed };
  const PIECE = 250;
  const hangs = () => doubtful.filter(({ end }) => end !== 'untyped').length;
  for (let from = 0; from < many && hangs() < MOST_HANGS; from += PIECE)
    await pool.run({ ...job, from, count: Math.min(PIECE, many - from) }, (trial) => {
      if (isFailure(trial.end)) doubtful.push(trial);
      else count(report, trial);
      return hangs() < MOST_HANGS;
    });
  for (const trial of doubtful) {
    const again = await confirmed(pool, door.name, seed, trial);
    count(report, again);
    if (!isFailure(again.end)) continue;
    const isKept = report.failures.length < MOST_FILES;
    report.failures.push({ ...again, ...(isKept ? { file: keep(door, seed, again) } : {}) });
  }
  report.seconds = (performance.now() - start) / 1000;
  return report;
}

async function replay(pool: Pool, paths: readonly string[]): Promise<DoorReport[]> {
  const reports: DoorReport[] = [];
  for (const file of paths) {
    const cases = readCases(readFileSync(file, 'utf8'));
    const { door } = cases[0]!;
    const report = emptyReport(door, 0);
    reports.push(report);
    const trials: Trial[] = [];
    await pool.run({ door, seed: 0, from: 0, count: cases.length, file }, (trial) => trials.push(trial) > 0);
    for (const trial of trials) {
      const last = isFailure(trial.end) ? await confirmed(pool, door, 0, trial, file) : trial;
      count(report, last);
      if (isFailure(last.end))
        report.failures.push({ ...last, file: `${relative(ROOT, file)}:${trial.index + 1}` });
    }
  }
  return reports;
}

const kept = (): string[] =>
  readdirSync(CASES)
    .sort()
    .map((name) => join(CASES, name));

/** How many of COUNT each door gets. */
function shares(doors: readonly Door[], total: number): Map<Door, number> {
  const weights = doors.reduce((sum, { weight = 1 }) => sum + weight, 0);
  const least = Math.min(LEAST_EACH, Math.floor(total / doors.length));
  return new Map(
    doors.map((door) => [door, Math.max(least, Math.ceil((total * (door.weight ?? 1)) / weights))]),
  );
}

function show(reports: readonly DoorReport[], asJson: boolean): number {
  const failed = reports.reduce((sum, { failures }) => sum + failures.length, 0);
  if (asJson) stdout.write(`${JSON.stringify(reports)}\n`);
  else {
    for (const report of reports)
      for (const { times, index, end, message, file } of groupsOf(report))
        stdout.write(
          `\n${report.door}, ${times} times: ${end} (first ${index}, ${file})\n${message ?? ''}\n`,
        );
    const inputs = reports.reduce((sum, report) => sum + report.inputs, 0);
    const seeds = [...new Set(reports.map(({ seed }) => seed))].join(', ');
    stdout.write(`\n${tableOf(reports)}\n${inputs} inputs, seed ${seeds}, ${failed} failed\n`);
  }
  return failed === 0 ? 0 : 1;
}

function stop(sentence: string): never {
  stderr.write(`${sentence}\n`);
  return exit(2);
}

async function main(words: readonly string[]): Promise<number> {
  const asJson = words.includes('--json');
  const at = words.indexOf('--replay');
  const [target, ...rest] = words.filter(
    (word, i) => word !== '--json' && (at < 0 || (i !== at && i !== at + 1)),
  );
  if (target === undefined || target === 'help' || target === '--help') {
    stdout.write(HELP);
    return 0;
  }
  const named = doorNamed(target);
  if (target !== 'all' && target !== 'cases' && !named)
    stop(`There is no door "${target}"; there are all, cases, ${DOORS.map(({ name }) => name).join(', ')}.`);
  const pool = createPool();
  try {
    if (target === 'cases') return show(await replay(pool, kept()), asJson);
    if (at >= 0) return show(await replay(pool, [words[at + 1] ?? stop('--replay needs a file.')]), asJson);
    const [many, seed] = rest.map(Number);
    if (!(Number.isInteger(many) && many! > 0 && Number.isSafeInteger(seed)))
      stop('Give a number of inputs and a seed: npm run fuzz -- all 10000 1');
    const reports: DoorReport[] = [];
    for (const [door, share] of shares(named ? [named] : DOORS, many!)) {
      const report = await fuzzDoor(pool, door, share, seed!);
      reports.push(report);
      if (!asJson)
        stderr.write(
          `${door.name}: ${report.inputs} in ${report.seconds.toFixed(0)} s, ${report.failures.length} failed\n`,
        );
    }
    return show(reports, asJson);
  } finally {
    pool.end();
  }
}

if (argv[2] === '--worker') await startWorker();
else exit(await main(argv.slice(2)));
