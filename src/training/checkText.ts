/** What a check of the device found as a text to copy into a report of a bug. */

import { inEnglish, whole } from '../lib/say.ts';
import {
  CHECK_FIGURES,
  checkTitle,
  checkVerdict,
  type DeviceCheckReport,
  type DeviceFacts,
  describeCheck,
  marginText,
} from './checkReport.ts';

const mebibytes = (bytes: number): string => `${whole(Math.floor(bytes / 2 ** 20))} MiB`;

/** Facts by name. */
function factsText(facts: DeviceFacts): Readonly<Record<string, string>> {
  if (facts.engine === 'onnxruntime')
    return {
      Engine: 'onnxruntime, on the processor',
      Device: `${facts.device}, ${facts.threads} ${facts.threads === 1 ? 'thread' : 'threads'}`,
      'Memory at most': mebibytes(facts.memoryBytes),
    };
  return {
    Engine: `WebGPU${facts.isSoftware ? ', software adapter' : ''}`,
    Device: facts.device || 'unnamed',
    'Largest buffer': mebibytes(facts.bufferBytes),
    'Largest binding': mebibytes(facts.bindingBytes),
    'Bindings of a kernel': String(facts.bindings),
    'Memory of a workgroup': `${whole(facts.workgroupBytes)} bytes`,
    'Invocations of a workgroup': String(facts.invocations),
    Timestamps: facts.timestamps ? 'yes' : 'no',
    Features: facts.features.join(', ') || 'none',
  };
}

/**
 * The whole report as Markdown, in English; what the engine said while it was asked stays as it was said.
 *
 * @param about further facts by name: the browser, the page's version
 */
export const deviceCheckText = (report: DeviceCheckReport, about: Readonly<Record<string, string>>): string =>
  inEnglish(() => markdown(report, about));

function markdown(report: DeviceCheckReport, about: Readonly<Record<string, string>>): string {
  const { facts, rows, seconds } = report;
  const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  const failures = rows.flatMap((row) => row.failures);
  const left = rows.filter((row) => row.left.length > 0);
  return [
    '# Papilio: check of a device',
    '',
    ...Object.entries({ ...about, ...factsText(facts) }).map(([name, value]) => `- ${name}: ${value}`),
    `- Took: ${seconds.toFixed(0)} s`,
    '',
    checkVerdict(report),
    '',
    'Each figure is the largest error over the largest number of the reference, of the allowed one.',
    '',
    `| op | cases | checks | failed | ${CHECK_FIGURES.map(checkTitle).join(' | ')} |`,
    `| --- | ---: | ---: | ---: |${CHECK_FIGURES.map(() => ' ---: |').join('')}`,
    ...rows.map(
      ({ op, cases, checks, failures: own, worst }) =>
        `| ${op} | ${cases} | ${checks} | ${own.length} | ${CHECK_FIGURES.map((kind) => marginText(worst[kind])).join(' | ')} |`,
    ),
    ...(failures.length === 0
      ? []
      : ['', '## What failed', '', ...failures.map((r) => `- ${cell(describeCheck(r))}`)]),
    ...(left.length === 0
      ? []
      : [
          '',
          '## What this engine cannot be asked',
          '',
          ...left.flatMap((row) => row.left.map((reason) => `- ${row.op}: ${cell(reason)}`)),
        ]),
    '',
  ].join('\n');
}
