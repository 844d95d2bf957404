/** The shaders behind test/tools/toyOps.ts, so that the machinery is tested on a device without depending on the real ops. */
import { createShaderLibrary } from '../../src/gpu/pipelines.ts';

const head = `struct Params { unused: u32 }
@group(0) @binding(0) var<uniform> params: Params;
`;
const storage = (names: string): string =>
  names
    .split(' ')
    .map((name, i) => {
      const access = name.endsWith('!') ? 'read_write' : 'read';
      return `@group(0) @binding(${i + 1}) var<storage, ${access}> ${name.replace('!', '')}: array<f32>;`;
    })
    .join('\n');
const kernel = (names: string, body: string): string => `${head}${storage(names)}
@compute @workgroup_size(1) fn main() {
  let n = arrayLength(&${names.split(' ')[0]!.replace('!', '')});
  for (var i = 0u; i < n; i++) { ${body} }
}`;

export const toyFiles: Readonly<Record<string, string>> = {
  'add.wgsl': kernel('a b c!', 'c[i] = a[i] + 2 * b[i];'),
  'fork.wgsl': kernel('a b! c!', 'b[i] = a[i] + 1; c[i] = 3 * a[i];'),
  'stage1.wgsl': kernel('a b! c!', 'b[i] = a[i] - 1; c[i] = a[i] + 1;'),
  'stage2.wgsl': kernel('a b c!', 'c[i] = a[i] * b[i];'),
  'decay.wgsl': kernel('a! b', 'a[i] = a[i] * 0.5 + b[i];'),
};

export const toyShaders = createShaderLibrary(toyFiles);
