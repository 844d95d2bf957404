/**
 * Several adapters on one model: the commands, what PEFT says to them, and whose saved module counts.
 */
import { describe, expect, it } from 'vitest';
import {
  type AdapterSet,
  activate,
  addAdapter,
  applied,
  deleteAdapter,
  disable,
  enable,
  merge,
  parameterOwners,
  type SetAdapter,
  startSet,
  unload,
  unmerge,
} from '../../src/adapters/adapterSet.ts';
import { validateConfig } from '../../src/adapters/config.ts';
import { METHODS, type MethodId } from '../../src/adapters/registry.ts';

function adapter(id: MethodId, config: object = {}, parameters: readonly string[] = []): SetAdapter {
  return {
    method: METHODS[id],
    config: validateConfig(METHODS[id], { target_modules: ['lin'], ...config }).config,
    parameters: new Map(parameters.map((name) => [name, null])),
  };
}

const two = (id: MethodId = 'lora', config: object = {}): AdapterSet =>
  addAdapter(startSet('default', adapter(id, config)).set, 'second', adapter(id, config)).set;

describe('the commands', () => {
  it('start with one active adapter; another is added inactive', () => {
    const set = two();
    expect([...set.adapters.keys()]).toEqual(['default', 'second']);
    expect(set.active).toEqual(['default']);
    expect(applied(set)).toEqual(['default']);
  });

  it('refuse a name twice, another method, a second bias', () => {
    expect(() => addAdapter(two(), 'second', adapter('lora'))).toThrow(/'second' already exists/);
    expect(() => addAdapter(two(), 'x', adapter('oft'))).toThrow(
      'Cannot combine adapters with different peft types. Found LORA and OFT.',
    );
    const biased = startSet('a', adapter('oft', { bias: 'all' })).set;
    expect(() => addAdapter(biased, 'b', adapter('oft', { bias: 'oft_only' }))).toThrow(
      /supports only 1 adapter with bias/,
    );
    expect(addAdapter(biased, 'b', adapter('oft')).set.adapters.size).toBe(2);
  });

  it.each<[MethodId, string, boolean]>([
    ['lora', 'or', true],
    ['lora', 'default', false],
    ['vera', 'lambda', true],
    ['loha', 'hada_', true],
    ['oft', 'oft', true],
    ['fourierft', 'fourier', true],
    ['ia3', 'ia3_l', false],
  ])('warn of a name inside the prefix: %s %s', (id, name, warns) => {
    const { warnings } = addAdapter(startSet('first', adapter(id)).set, name, adapter(id));
    expect(warnings).toHaveLength(warns ? 1 : 0);
    if (warns) expect(warnings[0]).toMatch(`Adapter name '${name}' should not be contained in the prefix`);
  });

  it('activate one or several, in order', () => {
    expect(applied(activate(two(), ['second', 'default']).set)).toEqual(['second', 'default']);
    expect(activate(two(), ['second']).warnings).toEqual([]);
    expect(() => activate(two(), ['third'])).toThrow("Adapter third not found in ['default', 'second']");
    const heads = two('lora', { modules_to_save: ['head'] });
    expect(activate(heads, ['second']).set.active).toEqual(['second']);
    expect(() => activate(heads, ['default', 'second'])).toThrow(
      "Attempted to set multiple (['default', 'second']) adapters at once for modules_to_save.",
    );
  });

  it('merge in order, once, and take out the last first', () => {
    const both = activate(two(), ['default', 'second']).set;
    const first = merge(both, { names: ['second'], safe: true });
    expect(first.steps).toEqual([{ kind: 'merge', name: 'second', safe: true }]);
    expect(first.warnings).toEqual([]);
    // Merged weights are the whole forward pass, whatever is active.
    expect(applied(first.set)).toEqual([]);
    const rest = merge(first.set);
    expect(rest.steps).toEqual([{ kind: 'merge', name: 'default', safe: false }]);
    expect(rest.warnings).toEqual([
      'Already following adapters were merged second. You are now additionally merging default.',
    ]);
    expect(merge(rest.set)).toMatchObject({
      steps: [],
      warnings: ['All adapters are already merged, nothing to do.'],
    });
    const back = unmerge(rest.set);
    expect(back.steps.map((step) => `${step.kind} ${step.name}`)).toEqual([
      'unmerge default',
      'unmerge second',
    ]);
    expect(applied(back.set)).toEqual(['default', 'second']);
    expect(unmerge(back.set)).toMatchObject({ steps: [], warnings: ['Already unmerged. Nothing to do.'] });
    expect(() => merge(both, { names: 'default' as never })).toThrow(/should be a list of strings/);
    expect(() => merge(both, { names: ['third'] })).toThrow(/third not found/);
    expect(unmerge(merge(two('ia3')).set).warnings).toEqual(['Unmerge result can be inaccurate for (IA)^3.']);
  });

  it('take merged adapters out before others become active or all are switched off', () => {
    const merged = merge(two()).set;
    const moved = activate(merged, ['second']);
    expect(moved.warnings).toEqual([
      'Adapter cannot be set when the model is merged. Unmerging the model first.',
    ]);
    expect(moved.steps).toEqual([{ kind: 'unmerge', name: 'default' }]);
    expect(moved.set).toMatchObject({ merged: [], active: ['second'] });
    const off = disable(merged);
    expect(off.steps).toEqual([{ kind: 'unmerge', name: 'default' }]);
    expect(applied(off.set)).toEqual([]);
    expect(applied(enable(off.set).set)).toEqual(['default']);
    expect(disable(startSet('a', adapter('oft', { bias: 'all' })).set).warnings).toEqual([
      expect.stringMatching(/^Careful, disabling adapter layers with bias configured to be 'all'/),
    ]);
  });

  it('delete, and fall back to the alphabetically first', () => {
    const three = addAdapter(two(), 'art', adapter('lora')).set;
    const gone = deleteAdapter(three, 'default');
    expect(gone.set.active).toEqual(['art']);
    expect(gone.warnings).toEqual([
      'Adapter default was active which is now deleted. Setting active adapter to art.',
    ]);
    expect(deleteAdapter(three, 'art')).toMatchObject({ warnings: [], set: { active: ['default'] } });
    const both = activate(three, ['second', 'default']).set;
    expect(deleteAdapter(both, 'default')).toMatchObject({ warnings: [], set: { active: ['second'] } });
    expect(() => deleteAdapter(three, 'x')).toThrow('Adapter x does not exist');
    expect(() => deleteAdapter(merge(three).set, 'default')).toThrow(/is merged .* unmerge it/);
    expect(deleteAdapter(startSet('a', adapter('lora')).set, 'a').set.active).toEqual([]);
  });

  it('unload without or with merging', () => {
    expect(unload(two())).toMatchObject({ steps: [], warnings: [], set: { active: [] } });
    expect(unload(merge(two()).set).warnings).toEqual(['The adapters default stay merged in the weights.']);
    const merging = merge(two(), { names: ['second', 'default'] });
    expect(merging.steps.map(({ name }) => name)).toEqual(['second', 'default']);
    expect(unload(merging.set).set.adapters.size).toBe(0);
  });

  it('give a saved module to the active adapter and a trained bias to all', () => {
    const head = { modules_to_save: ['head'] };
    const first = startSet('a', adapter('oft', { ...head, bias: 'all' }, ['head.weight', 'lin.bias'])).set;
    const set = addAdapter(first, 'b', adapter('oft', head, ['head.weight'])).set;
    expect(Object.fromEntries(parameterOwners(set))).toEqual({ 'head.weight': 'a', 'lin.bias': 'a' });
    const moved = activate(set, ['b']).set;
    expect(Object.fromEntries(parameterOwners(moved))).toEqual({ 'head.weight': 'b', 'lin.bias': 'a' });
    expect(Object.fromEntries(parameterOwners(disable(moved).set))).toEqual({ 'lin.bias': 'a' });
  });
});
