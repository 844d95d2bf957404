/** Whether this browser can train, found out without making a device, and what to do where it cannot. */
import { anyAdapter, isSoftwareAdapter, say } from '../common.ts';

export type GpuSupport =
  | { readonly state: 'ready'; readonly isSoftware: boolean; readonly name: string }
  /** With the browser's own reason, where it gives one. */
  | { readonly state: NoGpu; readonly reason?: string };

type NoGpu = 'no-webgpu' | 'no-adapter' | 'insecure';
/** What keeps this page from a GPU; an adapter of software computes on the processor. */
export type Hindrance = NoGpu | 'software';

/** Asks for an adapter, as whoever trains does; nothing is allocated. */
export async function detectGpu(navigator: Navigator, isSecure: boolean): Promise<GpuSupport> {
  if (!isSecure) return { state: 'insecure' };
  const gpu = navigator.gpu as GPU | undefined;
  if (gpu === undefined) return { state: 'no-webgpu' };
  let adapter: GPUAdapter | null;
  try {
    adapter = await anyAdapter(gpu);
  } catch (error) {
    return { state: 'no-adapter', reason: error instanceof Error ? error.message : String(error) };
  }
  if (adapter === null) return { state: 'no-adapter' };
  const { vendor, architecture, description } = adapter.info;
  const name = description || [vendor, architecture].filter(Boolean).join(' ') || say`unnamed adapter`;
  return { state: 'ready', isSoftware: isSoftwareAdapter(adapter.info), name };
}

/** The family of a browser, by its user agent. */
function browserOf(agent: string): 'firefox' | 'edge' | 'chrome' | 'safari' | null {
  if (/Firefox\//.test(agent)) return 'firefox';
  if (/Edg\//.test(agent)) return 'edge';
  if (/Chrome\/|Chromium\//.test(agent)) return 'chrome';
  return /Safari\//.test(agent) ? 'safari' : null;
}

/** Where the browser says what it makes of the GPU. No page may link there: it is to be copied. Null where there is no such page. */
export function statusPage(agent: string): string | null {
  const browser = browserOf(agent);
  if (browser === 'firefox') return 'about:support';
  return browser === 'edge' || browser === 'chrome' ? `${browser}://gpu` : null;
}

/** Steps towards a GPU for the browser at hand, by its user agent. */
export function stepsToGpu(state: Hindrance, agent: string): string[] {
  if (state === 'insecure')
    return [say`WebGPU needs a secure address: open the page at https:// or at http://localhost.`];
  // Whoever knows WebGPU is as new as that.
  const isBlocked = state !== 'no-webgpu';
  const isLinux = /Linux/.test(agent) && !/Android/.test(agent);
  const browser = browserOf(agent);
  if (browser === 'firefox') {
    return [
      ...(isBlocked
        ? []
        : [
            say`Update Firefox: WebGPU is on by default from version 141 on Windows and 145 on Apple computers.`,
          ]),
      say`Elsewhere open about:config, set dom.webgpu.enabled to true and, if it stays blocked, gfx.webgpu.ignore-blocklist too.`,
      ...(isBlocked ? [say`Update the driver of the graphics card.`] : []),
      say`Restart Firefox and reload this page.`,
    ];
  }
  if (browser === 'edge' || browser === 'chrome') {
    return [
      ...(isBlocked ? [] : [say`Update the browser to version 113 or later (121 on Android).`]),
      say`Open ${browser}://settings/system and turn on graphics acceleration.`,
      ...(isLinux || isBlocked
        ? [
            isLinux
              ? say`Open ${browser}://flags, enable “Unsafe WebGPU Support” and “Vulkan”, and relaunch.`
              : say`Open ${browser}://flags, enable “Unsafe WebGPU Support”, and relaunch.`,
          ]
        : []),
      ...(isBlocked ? [say`Update the driver of the graphics card.`] : []),
    ];
  }
  if (browser === 'safari') {
    return [
      say`WebGPU is on by default from Safari 26 (macOS 26, iOS 26): update the system.`,
      say`On older systems: Settings, Safari, Advanced, Feature Flags, WebGPU.`,
    ];
  }
  return [say`Open this page in a recent Chrome, Edge, Firefox or Safari.`];
}
