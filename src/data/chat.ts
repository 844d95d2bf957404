/**
 * The model's own chat format: Hugging Face's Jinja template renders the conversation as a whole, and where the template puts each message's words
 * tells what the assistant says in it: all from where generation would begin to the mark that ends the turn. A model without a template gets a
 * plain format, which is said.
 */
import { fail, PapilioError } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import {
  compileTemplate,
  datasetCost,
  type Mark,
  Refusal,
  type Rendering,
  TemplateCost,
} from './chatTemplate.ts';
import { type Message, THOUGHTS, wordsOf } from './messages.ts';
import { tokenText } from './tokenizer.ts';
import type { Span } from './types.ts';

/** What the assistant says in a turn, up to the end of the mark that ends it. */
export interface Answer extends Span {
  /** Where its words end and the mark begins. */
  readonly mark: number;
}

/** A rendered conversation. */
export interface Rendered {
  /** The whole, as the template writes it. */
  readonly text: string;
  /** What the assistant says in it. */
  readonly learnt: readonly Answer[];
  /** What the template writes in another way than the conversation has it; each goes on "The model's chat template". */
  readonly remarks: readonly string[];
}

export interface ChatFormat {
  /** `template` = the model's own. */
  readonly kind: 'template' | 'plain';
  /**
   * The whole conversation, one of a dataset: all that a format renders is counted together. `tools`: what the dataset says of the tools that
   * may be called.
   * @throws PapilioError 'bad-data' when the template refuses it or leaves an answer out; other kinds where the fault is the template's
   */
  render(messages: readonly Message[], tools?: unknown): Rendered;
  /** The text up to where the assistant begins to speak. */
  prompt(messages: readonly Message[], tools?: unknown): string;
}

type Config = Readonly<Record<string, unknown>>;

/**
 * The format of a model.
 * @param config tokenizer_config.json's value; its chat_template is a text or a list of named ones
 * @param template a template in a file of its own, which goes before
 * @param end the token that ends a text, where the config does not name it
 * @throws PapilioError 'malformed-file' for a template that is no Jinja
 */
export function chatFormat(config: Config, template: string | null = null, end = ''): ChatFormat {
  const named = template === null ? templatesOf(config.chat_template) : { default: template };
  const { default: usual, tool_use } = named;
  if (usual === undefined) return plainFormat(tokenText(config.eos_token) || end);
  const format = new TemplateFormat(usual, config);
  if (tool_use === undefined) return format;
  const withTools = new TemplateFormat(tool_use, config);
  const chosen = (tools: unknown) => (tools === undefined || tools === null ? format : withTools);
  return {
    kind: 'template',
    render: (messages, tools) => chosen(tools).render(messages, tools),
    prompt: (messages, tools) => chosen(tools).prompt(messages, tools),
  };
}

/** Templates by name; of several without a `default`, the first is that. */
function templatesOf(entry: unknown): Readonly<Record<string, string | undefined>> {
  if (typeof entry === 'string') return { default: entry };
  if (typeof entry !== 'object' || entry === null) return {};
  const list = (
    Array.isArray(entry) ? entry : Object.entries(entry).map(([name, template]) => ({ name, template }))
  ) as readonly unknown[];
  const isNamed = (one: unknown): one is { readonly name: string; readonly template: string } =>
    typeof one === 'object' &&
    one !== null &&
    typeof (one as { name?: unknown }).name === 'string' &&
    typeof (one as { template?: unknown }).template === 'string';
  if (!list.every(isNamed))
    return fail(
      'malformed-file',
      say`The model's chat template is neither a text nor a list of named ones; take tokenizer_config.json anew from where the model came from.`,
    );
  return { default: list[0]?.template, ...Object.fromEntries(list.map((t) => [t.name, t.template])) };
}

/** A template without its comments: what is said of roles and keys in them is not known. */
function withoutComments(template: string): string {
  let kept = '';
  for (let at = 0; ; ) {
    const start = template.indexOf('{#', at);
    const end = start < 0 ? -1 : template.indexOf('#}', start + 2);
    if (end < 0) return kept + template.slice(at);
    kept += template.slice(at, start);
    at = end + 2;
  }
}

const isCostly = (cause: unknown): boolean => cause instanceof PapilioError && cause.kind === 'too-large';

/** The library's reason, or what the engine's own limits mean. */
const reasonOf = (cause: unknown): string =>
  cause instanceof RangeError
    ? say`it is nested too deep, or its texts are too long`
    : (cause as Error).message;

/** Jinja that the library does not know, in a branch that few conversations may reach. */
const isUnknown = (cause: unknown): boolean => /^Unknown (?!variable)/.test((cause as Error).message);

/** Conversations that every template should write. */
const PLAIN: readonly (readonly Message[])[] = [
  [{ role: 'user', content: 'words' }],
  [
    { role: 'user', content: 'words' },
    { role: 'assistant', content: 'words' },
  ],
];

/** What a template is given beside the messages. */
interface TemplateInputs {
  readonly [name: string]: unknown;
}

type Compiled = ReturnType<typeof compileTemplate>;

function compiledTemplate(given: string): Compiled {
  try {
    return compileTemplate(given);
  } catch (cause) {
    if (cause instanceof PapilioError) throw cause;
    return fail(
      'malformed-file',
      say`The model's chat template cannot be read (${reasonOf(cause)}); take tokenizer_config.json anew from where the model came from.`,
    );
  }
}

class TemplateFormat implements ChatFormat {
  readonly kind = 'template';
  private readonly compiled: Compiled;
  private readonly source: string;
  private readonly inputs: TemplateInputs;
  private readonly eos: string;
  private readonly bos: string;
  private readonly all = datasetCost();
  private isBroken: boolean | undefined;
  private known: ContentForm | undefined;

  constructor(given: string, config: Config) {
    this.compiled = compiledTemplate(given);
    this.source = withoutComments(given);
    const specials = Object.entries(config)
      .filter(([name, value]) => name.endsWith('_token') && tokenText(value) !== '')
      .map(([name, value]) => [name, tokenText(value)]);
    this.inputs = { bos_token: '', eos_token: '', ...Object.fromEntries(specials), documents: null };
    this.eos = tokenText(config.eos_token);
    this.bos = tokenText(config.bos_token);
  }

  prompt(messages: readonly Message[], tools?: unknown): string {
    return this.run(messages, true, tools, new TemplateCost()).text;
  }

  render(messages: readonly Message[], tools?: unknown): Rendered {
    const cost = new TemplateCost(this.all);
    const rendering = this.run(messages, false, tools, cost);
    const run: Reading['run'] = (some, begins) => this.run(some, begins, tools, cost);
    const reading: Reading = { messages, rendering, run, eos: this.eos, bos: this.bos };
    return {
      text: rendering.text,
      learnt: learntSpans(reading),
      remarks: remarksOn(reading, this.source, this.form()),
    };
  }

  private run(messages: readonly Message[], begins: boolean, tools: unknown, cost: TemplateCost): Rendering {
    try {
      return this.compiled(
        messages.map((message) => asTemplateTakes(message, this.source, this.form())),
        { ...this.inputs, tools: tools ?? null, add_generation_prompt: begins },
        cost,
      );
    } catch (cause) {
      if (cause instanceof PapilioError) throw cause;
      if (!(cause instanceof Refusal) && (isUnknown(cause) || this.failsAlways()))
        fail(
          'malformed-file',
          say`The model's chat template cannot be run (${reasonOf(cause)}); take the model from elsewhere, or another chat template.`,
        );
      return fail(
        'bad-data',
        say`The conversation is refused by the model's chat template (${reasonOf(cause)})`,
      );
    }
  }

  /** Whether it cannot even write a plain question and its answer, and does not say that it will not. */
  private failsAlways(): boolean {
    this.isBroken ??= PLAIN.every((talk) => {
      const messages = talk.map((message) => asTemplateTakes(message, this.source, this.form()));
      try {
        this.compiled(messages, { ...this.inputs, tools: null, add_generation_prompt: false });
        return false;
      } catch (cause) {
        return !(cause instanceof Refusal);
      }
    });
    return this.isBroken;
  }

  private form(): ContentForm {
    this.known ??= contentForm(this.compiled, this.inputs);
    return this.known;
  }
}

/** Whether a template takes content as text, in parts, or both. */
type ContentForm = 'text' | 'parts' | 'both';

function contentForm(compiled: Compiled, inputs: TemplateInputs): ContentForm {
  const isRead = (content: unknown): boolean => {
    try {
      const { text, marks } = compiled([{ role: 'user', content }], {
        ...inputs,
        tools: null,
        add_generation_prompt: true,
      });
      return marks.some((mark) => text.slice(mark.start, mark.end) === 'words');
    } catch (cause) {
      if (isCostly(cause)) throw cause;
      return false;
    }
  };
  const parts = isRead([{ type: 'text', text: 'words' }]);
  return parts && isRead('words') ? 'both' : parts ? 'parts' : 'text';
}

/** A message as the template takes it: roles, thinking, calls and parts under the names that stand in its source. */
function asTemplateTakes(message: Message, source: string, form: ContentForm): Record<string, unknown> {
  const { role, content, thought, tool_calls, callWords, more } = message;
  const calls = tool_calls !== undefined && source.includes('tool_calls');
  if (tool_calls !== undefined && !calls && callWords === undefined)
    throw new Error('it writes no tool calls');
  const said = tool_calls !== undefined && !calls ? callWords! : content;
  const thinks =
    thought &&
    (THOUGHTS.find((t) => t === thought.name && source.includes(t)) ??
      THOUGHTS.find((t) => source.includes(t)));
  return {
    ...more,
    role: role === 'developer' && !source.includes('developer') ? 'system' : role,
    content:
      typeof said === 'string' && form === 'parts'
        ? [{ type: 'text', text: said }]
        : Array.isArray(said) && form === 'text'
          ? wordsOf(message)
          : said,
    ...(thinks ? { [thinks]: thought.text } : {}),
    ...(calls ? { tool_calls } : {}),
  };
}

/** What the spans of a conversation are found from. */
interface Reading {
  readonly messages: readonly Message[];
  readonly rendering: Rendering;
  /** Renders other messages with the same template. */
  readonly run: (messages: readonly Message[], begins: boolean) => Rendering;
  readonly bos: string;
  readonly eos: string;
}

const isSaid = (message: Message): boolean =>
  wordsOf(message).trim() !== '' || message.tool_calls !== undefined;

/** A turn of the assistant in the rendering: its words from first to last, and all that the template wrote for it, where a loop tells. */
interface Turn {
  readonly first: number;
  readonly last: number;
  readonly whole: Span | undefined;
}

function learntSpans(reading: Reading): Answer[] {
  const { messages, rendering } = reading;
  const spans = messages.flatMap((message, k): { span: Answer; isBare: boolean }[] => {
    if (message.role !== 'assistant' || message.isLearnt === false) return [];
    const turn = turnOf(rendering, k);
    if (!turn) {
      if (isSaid(message))
        fail(
          'bad-data',
          say`The conversation has an answer that the model's chat template leaves out or writes in another way`,
        );
      return [];
    }
    const start = beginningOf(reading, k, turn);
    const { end, isBare } = endOf(reading, k, turn);
    return [{ span: { start, end, mark: Math.max(turn.last, start) }, isBare }];
  });
  // A line break that ends a turn is its end only in a format that has no other.
  const areAllBare = spans.every((s) => s.isBare);
  return spans.map(({ span, isBare }) => (isBare && !areAllBare ? { ...span, end: span.mark } : span));
}

function turnOf({ marks, turns }: Rendering, k: number): Turn | null {
  const own = marks.filter((mark) => mark.message === k);
  if (own.length === 0) return null;
  const first = own.reduce((least, mark) => Math.min(least, mark.start), Number.POSITIVE_INFINITY);
  const last = own.reduce((most, mark) => Math.max(most, mark.end), 0);
  const others = marks.filter((mark) => mark.message !== k);
  const whole = turns
    .filter(({ start, end }) => start <= first && last <= end)
    .filter(({ start, end }) => others.every((mark) => mark.end <= start || mark.start >= end))
    .reduce<Span | undefined>(
      (widest, turn) => (widest && widest.end - widest.start >= turn.end - turn.start ? widest : turn),
      undefined,
    );
  return { first, last, whole };
}

/** Where the words end that stand before position `at`. */
const wordsBefore = (marks: readonly Mark[], at: number, k: number): number =>
  marks.reduce((most, m) => (m.message !== k && m.end <= at ? Math.max(most, m.end) : most), 0);

const tail = ({ text, marks }: Rendering): string =>
  text.slice(marks.reduce((most, m) => Math.max(most, m.end), 0));

/** What two texts begin with; a sign in angle brackets is shared whole or not at all. */
function shared(a: string, b: string): string {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  const text = a.slice(0, length);
  return length === a.length || length === b.length ? text : text.replace(/<[^<>]*$/, '');
}

/** A rendering that the template may refuse. */
function attempt<T>(make: () => T): T | null {
  try {
    return make();
  } catch (cause) {
    if (isCostly(cause)) throw cause;
    return null;
  }
}

/**
 * Where the model begins to speak: after the text that a generation would be asked with. Where the template writes earlier turns in another way, or
 * asks without a header, after what it writes before plain words.
 */
function beginningOf({ messages, rendering, run }: Reading, k: number, turn: Turn): number {
  const before = wordsBefore(rendering.marks, turn.first, k);
  const gap = rendering.text.slice(before, turn.first);
  const asked = messages.slice(0, k);
  const prompt = attempt(() => tail(run(asked, true)));
  const silent = attempt(() => tail(run(asked, false)));
  if (prompt !== null && prompt !== silent && gap.startsWith(prompt)) return before + prompt.length;
  const plain: Message = { role: 'assistant', content: 'x' };
  const header = attempt(() => {
    const probe = run(
      messages.map((message, i) => (i === k ? plain : message)),
      false,
    );
    const at = turnOf(probe, k)!;
    return probe.text.slice(wordsBefore(probe.marks, at.first, k), at.first);
  });
  const begins = before + (header === null ? gap : shared(gap, header)).length;
  return Math.max(begins, Math.min(turn.whole?.start ?? 0, turn.first));
}

/** The end of a text without the spaces and the sign of a beginning that stand there. */
function trimmedEnd(text: string, bos: string): string {
  const cut = text.trimEnd();
  return bos !== '' && cut.length > bos.length && cut.endsWith(bos)
    ? trimmedEnd(cut.slice(0, -bos.length), bos)
    : cut;
}

/** Where the turn ends: after the mark that the template puts behind the words; bare where that is nothing but spaces. */
function endOf(reading: Reading, k: number, turn: Turn): { end: number; isBare: boolean } {
  const { rendering, messages, run, eos, bos } = reading;
  const { text, marks } = rendering;
  const next = marks.reduce(
    (least, m) => (m.message !== k && m.start >= turn.last ? Math.min(least, m.start) : least),
    text.length,
  );
  const isLast = !marks.some((m) => m.message !== k && m.start >= turn.last);
  const behind = text.slice(turn.last, next);
  let mark = turn.whole ? text.slice(turn.last, turn.whole.end) : behind;
  if (isLast) {
    // After the last turn some templates end the text; others ask for an answer that nobody gave.
    const rest = behind.slice(mark.length);
    const asks = () => attempt(() => tail(run(messages, true))) === behind;
    const isEnd = eos !== '' && rest.trimStart().startsWith(eos);
    if (rest.trim() !== '' && (isEnd || !asks())) mark = behind;
  } else if (!turn.whole) {
    const alone = attempt(() => tail(run(messages.slice(0, k + 1), false))) ?? '';
    const closes = eos === '' ? -1 : behind.indexOf(eos);
    const own = shared(behind, alone);
    mark = behind.slice(0, Math.max(own.length, closes < 0 ? 0 : closes + eos.length));
  }
  const kept = trimmedEnd(mark, bos);
  return { end: turn.last + (kept === '' ? mark : kept).length, isBare: kept === '' };
}

function remarksOn({ messages, rendering }: Reading, source: string, form: ContentForm): string[] {
  const read = new Set(rendering.marks.map((mark) => mark.message));
  const remarks = messages.flatMap((message, k) => [
    ...(wordsOf(message).trim() !== '' && !read.has(k)
      ? [say`does not write messages of the role ${message.role}`]
      : []),
    ...(message.role === 'developer' && !source.includes('developer')
      ? [say`knows no developer: such messages are written as those of the system`]
      : []),
    ...(message.thought && !THOUGHTS.some((name) => source.includes(name))
      ? [say`does not write thinking`]
      : []),
    ...(form === 'text' && Array.isArray(message.content) && message.content.length > 1
      ? [say`takes no content in parts: they are joined by line breaks`]
      : []),
    ...(message.callWords !== undefined && !source.includes('tool_calls')
      ? [say`writes no tool calls: their JSON is taken as what the assistant says`]
      : []),
  ]);
  return [...new Set(remarks)];
}

/**
 * Every message in a line of its own, an answer ended by the end token where there is one: the same for one question as for many, so that a model
 * is asked as it was taught.
 */
function plainFormat(eos: string): ChatFormat {
  const render = (messages: readonly Message[]): Rendered => {
    const learnt: Answer[] = [];
    let text = '';
    for (const message of messages) {
      const { role, isLearnt, tool_calls, callWords } = message;
      if (tool_calls && callWords === undefined)
        fail('bad-data', say`The conversation has tool calls, for which the model has no chat template`);
      const start = text.length;
      text += callWords ?? wordsOf(message);
      const mark = text.length;
      text += role === 'assistant' && eos !== '' ? eos : '\n';
      if (role === 'assistant' && isLearnt !== false) learnt.push({ start, end: text.length, mark });
    }
    return { text, learnt, remarks: [] };
  };
  return { kind: 'plain', render, prompt: (messages) => render(messages).text };
}
