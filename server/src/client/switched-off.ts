import { enabledKey, KNOWN, MARKETPLACE } from '../machine/claude/marketplace.ts';
import { getKeyText } from '../machine/claude/settings-edit.ts';
import { enabledNames } from '../machine/drift.ts';
import { readText } from '../machine/files/text-file.ts';
import type { Machine } from '../machine/machine.ts';
import { readReceipts } from '../machine/receipts/index.ts';

/**
 * By name, of what is installed and Claude Code does not load because its settings say so: why, and what brings it back. Nothing
 * of ours switches on again what a person switched off.
 * @throws HaiveError SETTINGS_INVALID, FORMAT_UNSUPPORTED, READ_ONLY, IO_ERROR
 */
export async function switchedOff(m: Machine): Promise<Map<string, string>> {
  const { layout, plugins } = await readReceipts(m);
  if (layout === 'loose') {
    const off = Object.values(plugins).filter((receipt) => receipt.off === true);
    return new Map(
      off.map(({ name }) => [
        name,
        `switched off before the layout changed; \`hv install ${name} --force\` brings it back`,
      ]),
    );
  }
  const enabled = await enabledNames(m);
  const off = Object.keys(plugins).filter((name) => !enabled.has(name));
  if (off.length === 0) return new Map();
  const text = await readText(m.paths.settings);
  const known = text !== null && getKeyText(text, KNOWN, m.paths.settings) !== undefined;
  return new Map(
    off.map((name) => [
      name,
      known
        ? `switched off in Claude Code; \`claude plugin enable ${enabledKey(name)}\` brings it back`
        : `not loaded: settings.json does not name the marketplace \`${MARKETPLACE}\` any more; \`hv doctor --fix\` brings it back`,
    ]),
  );
}
