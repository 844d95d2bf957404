/** Lines of a text, one after the other, so that no list of them is ever made. */

/** Without their ends: \n, or \r\n and \r as well where `ends` is 'any'. */
export function* linesOf(text: string, ends: 'newline' | 'any' = 'newline'): Generator<string> {
  const { length } = text;
  /** Where `mark` stands next, looked for only when it has been passed. */
  const finder = (mark: string) => {
    let found = -1;
    return (at: number): number => {
      if (found < at) found = text.indexOf(mark, at);
      if (found < 0) found = length;
      return found;
    };
  };
  const newline = finder('\n');
  const carriage = ends === 'any' ? finder('\r') : () => length;
  for (let at = 0; at <= length; ) {
    const end = Math.min(newline(at), carriage(at));
    yield text.slice(at, end);
    at = end + (text[end] === '\r' && text[end + 1] === '\n' ? 2 : 1);
  }
}
