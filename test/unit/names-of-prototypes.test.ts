// Names that every object inherits are names like others: of methods, presets, fields, tasks, modules, commands, roles and files.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { validateConfig } from '../../src/adapters/config.ts';
import { savedEntries } from '../../src/adapters/matching.ts';
import { lookupFrequencyPattern, lookupPattern } from '../../src/adapters/perModule.ts';
import { METHODS, methodById, methodByPeftType } from '../../src/adapters/registry.ts';
import { selectTargets } from '../../src/adapters/targets.ts';
import { runCommand } from '../../src/cli/commands.ts';
import { chatFormat } from '../../src/data/chat.ts';
import { readMessages } from '../../src/data/messages.ts';
import { derive } from '../../src/page/features/setup/derive.ts';
import { decodeHash, encodeHash } from '../../src/page/features/setup/link.ts';
import { tools } from '../../tools/commands.ts';
import { layer } from './adapters-fixtures.ts';
import { visionReport } from './page-fixtures.ts';

const NAMES = ['constructor', 'toString', '__proto__', 'hasOwnProperty', 'valueOf', '__defineGetter__'];

afterEach(() => {
  vi.restoreAllMocks();
});

describe.each(NAMES)('%s', (name) => {
  it('is no method, preset, model, field or task of a link', () => {
    for (const key of [
      'method',
      'preset',
      'model',
      'data',
      `c.${name}`,
      `t.${name}`,
      'c.task_type',
      'c.bias',
      name,
    ]) {
      const link = new URLSearchParams({ v: '1', preset: 'letters-boft', [key]: name });
      const { settings, problems } = decodeHash(link.toString());
      expect(problems.length, key).toBe(1);
      expect(typeof derive(settings, visionReport()).problem, key).toMatch(/string|object/);
      expect(Object.getPrototypeOf(settings.config)).toBe(Object.prototype);
      expect(encodeHash(settings)).not.toContain('function');
    }
  });

  it('is a module like any other', () => {
    const layers = [layer(`a.${name}`, 8, 8), layer(name, 8, 8), layer('b.q', 8, 8)];
    const { config } = validateConfig(METHODS.lora, {
      target_modules: [name],
      rank_pattern: JSON.parse(`{"${name}": 3}`),
    });
    const { targets, entries } = selectTargets(METHODS.lora, config, { layers });
    expect(targets).toEqual([`a.${name}`, name]);
    expect(entries).toEqual([{ entry: name, count: 2 }]);
    expect(lookupPattern({ q: 3 }, name, 5)).toBe(5);
    expect(lookupFrequencyPattern({ q: 3 }, name, 5)).toBe(5);
    expect(savedEntries({ modules_to_save: null, task_type: name })).toEqual([]);
    const { saved } = selectTargets(METHODS.lora, { ...config, modules_to_save: [name] }, { layers });
    expect(saved).toEqual([`a.${name}`, name]);
  });

  it('is no method, task or command', async () => {
    expect(() => methodById(name)).toThrow(expect.objectContaining({ kind: 'bad-argument' }));
    expect(methodByPeftType(name)).toBeNull();
    expect(() => validateConfig(METHODS.oft, { target_modules: ['q'], task_type: name })).toThrow(
      expect.objectContaining({ kind: 'illegal-config' }),
    );
    vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    expect(await runCommand([name])).toBe(2);
    expect(await runCommand(['adapters', `--${name}`])).toBe(2);
    expect(await runCommand(['verify', name, 'there'], tools)).toBe(2);
  });

  it('is no role, and a field of a message like others', () => {
    expect(readMessages([{ role: name, content: 'x' }])).toMatch(/a role that is not known/);
    const messages = readMessages([
      JSON.parse(`{"role": "user", "content": "x", "${name}": "y"}`),
      { role: 'assistant', content: 'z' },
    ]);
    if (typeof messages === 'string') throw new Error(messages);
    const template = `{% for m in messages %}{{ m.role }}{{ m.${name} }}{{ ${name} }}{{ m['${name}'] | default('-') }}{{ m.content }};{% endfor %}`;
    expect(chatFormat({ chat_template: template }).prompt(messages)).toMatch(/^user.*x;assistant-z;/);
  });
});
