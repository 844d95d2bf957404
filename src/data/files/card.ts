/** Names of numbered classes that lie beside the tables: in dataset_infos.json, dataset_info.json or the head of the dataset card, README.md. */
import type { InputFile } from '../../lib/bytes.ts';
import { jsonOf, plainWords } from '../../lib/json.ts';
import { baseName } from './bytes.ts';
import { isRecord } from './cells.ts';

/** By column. */
export type Names = Readonly<Record<string, readonly string[]>>;

function namesOf(feature: unknown): readonly string[] | undefined {
  const own: unknown = Array.isArray(feature) ? feature[0] : feature;
  if (!isRecord(own)) return undefined;
  return Array.isArray(own.names) ? own.names.map(plainWords) : namesOf(own.feature);
}

/** Of dataset_infos.json and its like: `{"info": {"features": {"label": {"names": […], "_type": "ClassLabel"}}}}`, also inside a sequence. */
export function namesInJson(text: string): Names {
  let value: unknown;
  try {
    value = jsonOf(text);
  } catch {
    // What is no JSON names no classes; the numbers stay.
    return {};
  }
  if (!isRecord(value)) return {};
  const infos = isRecord(value.features) ? [value] : Object.values(value).filter(isRecord);
  return Object.fromEntries(
    infos.flatMap(({ features }) =>
      Object.entries(isRecord(features) ? features : {}).flatMap(([column, feature]) => {
        const names = namesOf(feature);
        return names ? [[column, names]] : [];
      }),
    ),
  );
}

/** `- name: label` … `class_label:` … `names:` and below it `'0': neg` or `- neg`, as the Hub writes the head of a card. */
function inCard(text: string): Names {
  const head = /^---\r?\n([\s\S]*?)\r?\n---/.exec(text)?.[1];
  const out: Record<string, string[]> = {};
  let column: string | undefined;
  let indent = -1;
  for (const line of (head ?? '').split(/\r?\n/)) {
    const depth = line.search(/\S/);
    if (indent >= 0 && (depth > indent || /^\s*-\s/.test(line)) && column !== undefined) {
      const name = /^(?:'?"?\d+'?"?\s*:|-)\s*(\S.*)$/.exec(line.trim())?.[1];
      if (name !== undefined && !/^name:/.test(name)) {
        out[column]!.push(name.replace(/^(['"])(.*)\1$/, '$2'));
        continue;
      }
    }
    indent = -1;
    column =
      /^-\s+name:\s*(\S.*)$/
        .exec(line.trim())?.[1]
        ?.replace(/^['"]|['"]$/g, '')
        .trim() || column;
    if (/^\s*names:\s*$/.test(line) && column !== undefined) {
      indent = depth;
      out[column] = [];
    }
  }
  return Object.fromEntries(Object.entries(out).filter(([, names]) => names.length > 1));
}

/** Class names by column. */
export function namesBeside(files: readonly InputFile[]): Names {
  const text = ({ bytes }: InputFile) => new TextDecoder().decode(bytes);
  const found = files.map((file): Names => {
    const name = baseName(file.name);
    if (/^dataset_infos?\.json$/.test(name)) return namesInJson(text(file));
    return /^readme\.md$/i.test(name) ? inCard(text(file)) : {};
  });
  return Object.assign({}, ...found) as Names;
}
