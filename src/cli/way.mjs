/** In which runtime a command runs, and with which driver: by what it computes and by the WebGPU adapters that there are. */

/** Commands that compute nothing on a GPU. */
const NEEDS_NO_GPU = ['adapters', 'combine', 'embed', 'python'];
/** Commands that onnxruntime computes where there is no WebGPU. */
const NEEDS_NO_ADAPTER = ['finetune', 'compare', 'pretrain', 'reproduce', 'record'];

const asksFor = (engine, rest) => rest.some((word) => word === engine || word === `--engine=${engine}`);

/**
 * @param runtime auto, node or deno
 * @param rest the command and its arguments
 * @param machine `hasDeno`: whether there is a Deno; `find`: the ways with an adapter, best first, asked only where one is needed
 * @returns the way, `{ runtime, driver? }`, or `{ refusal }`: why there is none, and what to do
 */
export async function chooseWay(runtime, rest, { hasDeno, find }) {
  // onnxruntime's native build is a module for Node, and computes on the CPU.
  if (runtime !== 'deno' && asksFor('onnxruntime', rest)) return { runtime: 'node' };
  if (runtime === 'deno' && !hasDeno)
    return { refusal: 'The deno package has no binary for this machine; run npm ci, or use --runtime node.' };
  if (needsNoGpu(rest)) return { runtime: runtime === 'deno' ? 'deno' : 'node' };
  const ways = await find();
  const chosen = ways.find((way) => runtime === 'auto' || way.runtime === runtime);
  if (chosen) return chosen;
  if (ways.length > 0) {
    const other = ways[0].runtime;
    return {
      refusal: `${runtime} finds no WebGPU adapter here, but ${other} does: use --runtime ${other}, or install ${wanted(runtime)}.`,
    };
  }
  if (runtime !== 'deno' && !asksFor('webgpu', rest) && NEEDS_NO_ADAPTER.includes(rest[0]))
    return { runtime: 'node' };
  return { refusal: `No WebGPU adapter: install your GPU's Vulkan driver, or ${wanted(runtime)}.` };
}

const needsNoGpu = (rest) =>
  rest.length === 0 ||
  ['help', ...NEEDS_NO_GPU].includes(rest[0]) ||
  rest.includes('--help') ||
  rest.includes('-h');

function wanted(runtime) {
  const software =
    runtime === 'node'
      ? 'Chromium, which brings one (Debian: apt-get install chromium)'
      : 'Mesa (Debian: apt-get install mesa-vulkan-drivers)';
  return `a software driver: ${software}`;
}
