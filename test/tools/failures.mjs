import { relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

/**
 * What failed in one run of vitest, a line for each test: file, name, and the first line of its error. `report` is what vitest's JSON
 * reporter writes; a file that could not even be read has no tests and its own message. Paths are told from `root`.
 */
export function failuresIn(report, root) {
  return report.testResults
    .filter(({ status }) => status === 'failed')
    .flatMap(({ name, message, assertionResults }) => {
      const failed = assertionResults.filter((test) => test.status === 'failed');
      const lines = failed.map((test) => `${test.fullName}: ${firstLine(test.failureMessages[0])}`);
      return (lines.length > 0 ? lines : [firstLine(message)]).map(
        (line) => `  ${relative(root, name)}: ${line}`,
      );
    });
}

/** The first line of a message, without colours, cut at 300 characters. */
function firstLine(message = 'no message') {
  return stripVTControlCharacters(message).split('\n', 1)[0].slice(0, 300);
}
