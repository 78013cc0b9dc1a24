import semverValid from 'semver/functions/valid.js';
import { isPluginName } from '../names.ts';

/**
 * Names and versions that Claude Code takes and a registry for all systems cannot: capitals, which some file systems do not tell
 * apart, and versions that do not order (`1.0`, `v1.2.3`, `2025.01.02`).
 */

const LOOSE = /^[v=]*\s*(\d+)(?:\.(\d+))?(?:\.(\d+))?(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/;

/** The semantic version that a loose one means; undefined where it is one already, or means none. */
export function plainVersion(version: string): string | undefined {
  if (version.length > 128 || semverValid(version) === version) return undefined;
  const [, major, minor = '0', patch = '0', pre = ''] = LOOSE.exec(version.trim()) ?? [];
  if (major === undefined) return undefined;
  const plain = `${Number(major)}.${Number(minor)}.${Number(patch)}${pre}`;
  return semverValid(plain) === plain ? plain : undefined;
}

/** The name in small letters; undefined where it is so already, or still none that a plugin may have. */
export function plainName(name: string): string | undefined {
  const plain = name.toLowerCase();
  return plain !== name && isPluginName(plain) ? plain : undefined;
}

/** A text that speaks of a plugin's own tools, commands, agents and servers, after the plugin got another name. */
export function renamePlugin(text: string, from: string, to: string): string {
  const name = from.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return text
    .replace(new RegExp(`mcp__plugin_${name}_(?=[\\w-]|\\*)`, 'g'), `mcp__plugin_${to}_`)
    .replace(new RegExp(`(?<![\\w.-])${name}:(?=[A-Za-z])`, 'g'), `${to}:`);
}
