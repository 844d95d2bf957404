/** Whether this browser can train, found out without making a device, and what to do where it cannot. */
import { isSoftwareAdapter, say } from '../common.ts';

export type GpuSupport =
  | { readonly state: 'ready'; readonly isSoftware: boolean; readonly name: string }
  | { readonly state: NoGpu };

type NoGpu = 'no-webgpu' | 'no-adapter' | 'insecure';

/** Asks for an adapter once; nothing is allocated. */
export async function detectGpu(navigator: Navigator, isSecure: boolean): Promise<GpuSupport> {
  if (!isSecure) return { state: 'insecure' };
  const gpu = navigator.gpu as GPU | undefined;
  if (gpu === undefined) return { state: 'no-webgpu' };
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null);
  if (adapter === null) return { state: 'no-adapter' };
  const { vendor, architecture, description } = adapter.info;
  const name = description || [vendor, architecture].filter(Boolean).join(' ') || say`unnamed adapter`;
  return { state: 'ready', isSoftware: isSoftwareAdapter(adapter.info), name };
}

/** Steps towards WebGPU for the browser at hand, by its user agent. */
export function stepsToGpu(state: NoGpu, agent: string): string[] {
  if (state === 'insecure')
    return [say`WebGPU needs a secure address: open the page at https:// or at http://localhost.`];
  const isBlocked = state === 'no-adapter';
  const isLinux = /Linux/.test(agent) && !/Android/.test(agent);
  if (/Firefox\//.test(agent)) {
    return [
      say`Update Firefox: WebGPU is on by default from version 141 on Windows and 145 on Apple computers.`,
      say`Elsewhere open about:config, set dom.webgpu.enabled to true and, if it stays blocked, gfx.webgpu.ignore-blocklist too.`,
      say`Restart Firefox and reload this page.`,
    ];
  }
  if (/Edg\/|Chrome\/|Chromium\//.test(agent)) {
    const browser = /Edg\//.test(agent) ? 'edge' : 'chrome';
    return [
      // Whoever knows WebGPU is as new as that.
      ...(isBlocked ? [] : [say`Update the browser to version 113 or later (121 on Android).`]),
      say`Open ${browser}://settings/system and turn on graphics acceleration.`,
      ...(isLinux || isBlocked
        ? [
            isLinux
              ? say`Open ${browser}://flags, enable “Unsafe WebGPU Support” and “Vulkan”, and relaunch.`
              : say`Open ${browser}://flags, enable “Unsafe WebGPU Support”, and relaunch.`,
          ]
        : []),
      say`Open ${browser}://gpu to see why the GPU is blocked.`,
    ];
  }
  if (/Safari\//.test(agent)) {
    return [
      say`WebGPU is on by default from Safari 26 (macOS 26, iOS 26): update the system.`,
      say`On older systems: Settings, Safari, Advanced, Feature Flags, WebGPU.`,
    ];
  }
  return [say`Open this page in a recent Chrome, Edge, Firefox or Safari.`];
}
