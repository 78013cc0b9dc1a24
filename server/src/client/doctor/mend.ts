import { join } from 'node:path';
import { applyChange } from '../../machine/change/transaction.ts';
import { foreignMarketplace } from '../../machine/claude/foreign-marketplace.ts';
import { missingCommands } from '../../machine/claude/global-commands.ts';
import { enabledKey, KNOWN } from '../../machine/claude/marketplace.ts';
import { getKeyText, parseSettings, removeKey } from '../../machine/claude/settings-edit.ts';
import { readText, writeText } from '../../machine/files/text-file.ts';
import { mendLinks } from '../../machine/links.ts';
import { missingKeys } from '../../machine/loose/index.ts';
import { leadsInto } from '../../machine/loose/layout-text.ts';
import type { Machine } from '../../machine/machine.ts';
import { noFileNotes, type Receipts, readReceipts } from '../../machine/receipts/index.ts';

/** What others did to our keys in Claude Code's files: found by doctor, mended by `doctor --fix`. */

export interface Tampering {
  /** settings.json does not name our marketplace any more, as after an old backup was restored. */
  marketplaceLost: boolean;
  /** It names it at another place, as after HOME was copied or moved. */
  movedFrom: string | null;
  /** `NAME@collective` of our marketplace without a receipt, as after our folder was deleted. */
  strayKeys: string[];
  /** What of a plugin's keys (loose layout) and bare commands is gone, by plugin. */
  lost: Map<string, string[]>;
  /** Loose layout: nothing of ours is left in the file, so a backup was restored. */
  lostAll: boolean;
  /** Switched off or uninstalled in the client: respected. */
  disabled: string[];
}

/**
 * Compares receipts with the files of others. Reads only.
 * @throws HaiveError SETTINGS_INVALID, FORMAT_UNSUPPORTED, IO_ERROR
 */
export async function findTampering(m: Machine): Promise<Tampering> {
  const receipts = await readReceipts(m);
  const found: Tampering = {
    marketplaceLost: false,
    movedFrom: null,
    strayKeys: [],
    lost: new Map(),
    lostAll: false,
    disabled: [],
  };
  const text = await readText(m.paths.settings);
  const where = m.paths.settings;
  const enabled = (text === null ? undefined : parseSettings(text, where).enabledPlugins) ?? {};
  const suffix = enabledKey('');
  const names = Object.keys(enabled).filter((key) => key.endsWith(suffix));
  const native = receipts.layout === 'native' ? receipts.plugins : {};
  const shown = { ...native, ...receipts.dev };
  const known = text === null ? undefined : getKeyText(text, KNOWN, where);
  const foreign = (await foreignMarketplace(m)) !== null;
  // Keys of a marketplace that is not ours are somebody else's, those of one that is nowhere too.
  if (known !== undefined && !foreign)
    found.strayKeys = names.filter((key) => shown[key.slice(0, -suffix.length)] === undefined);
  for (const receipt of Object.values(native)) {
    const gone = missingCommands(m, receipt);
    if (gone.length > 0) found.lost.set(receipt.name, gone);
  }
  if (Object.keys(native).length > 0) {
    found.marketplaceLost = known === undefined;
    const path = known === undefined ? undefined : placeOf(known);
    if (path !== undefined && path !== m.paths.root && !foreign) found.movedFrom = path;
    if (known !== undefined) {
      const values = enabled as Record<string, unknown>;
      found.disabled = Object.keys(native).filter((name) => values[enabledKey(name)] !== true);
    }
  }
  if (receipts.layout === 'loose') await lookAtLoose(m, receipts, found);
  return found;
}

async function lookAtLoose(m: Machine, receipts: Receipts, found: Tampering): Promise<void> {
  let ours = 0;
  let lost = 0;
  for (const receipt of Object.values(receipts.plugins)) {
    if (receipt.off || receipt.loose === undefined) continue;
    const root = join(m.paths.root, receipt.dir);
    const values = [receipt.loose.hooks, receipt.loose.servers];
    const elsewhere = JSON.stringify(values).includes(`/${receipt.dir}`) && !leadsInto(values, root);
    if (elsewhere) found.movedFrom = 'another folder';
    const gone = await missingKeys(m, receipt);
    ours += receipt.loose.hooks.length + receipt.loose.servers.length;
    lost += gone.length;
    if (gone.length > 0) found.lost.set(receipt.name, gone);
  }
  found.lostAll = ours > 0 && lost === ours;
}

function placeOf(text: string): string | undefined {
  const value = JSON.parse(text) as { source?: { path?: unknown } };
  return typeof value?.source?.path === 'string' ? value.source.path : undefined;
}

/**
 * Brings back what was lost to a restored backup, a copied HOME or a deleted folder. What a person switched off stays off.
 * The lock must be held and recovery done.
 * @returns what was done, for people
 * @throws HaiveError SETTINGS_INVALID, READ_ONLY, NAME_CLASH, and those of files
 */
export async function mendTampering(m: Machine): Promise<string[]> {
  const found = await findTampering(m);
  const done: string[] = [];
  const receipts = await readReceipts(m);
  const names = Object.keys(receipts.plugins);
  const change = { install: [], remove: [], reason: 'install' as const };
  if (receipts.layout === 'loose' && found.movedFrom !== null) {
    // Out by the old receipts, in again by the folder where everything is now.
    await applyChange(m, { ...change, layout: 'native' });
    await applyChange(m, { ...change, layout: 'loose' });
    done.push('everything leads to the folder where it is now');
  } else if (found.marketplaceLost || found.movedFrom !== null) {
    await applyChange(m, { ...change, enable: names });
    done.push('settings.json names the marketplace `collective` again');
  } else if (found.lostAll) {
    await applyChange(m, { ...change, enable: [...found.lost.keys()] });
    done.push(`hooks and servers of ${[...found.lost.keys()].join(', ')} are back`);
  }
  const links = await mendLinks(m, await readReceipts(m));
  if (links.length > 0) done.push(`links are back: ${links.join(', ')}`);
  const stray = (await findTampering(m)).strayKeys;
  if (stray.length > 0) {
    const where = m.paths.settings;
    const text = await readText(where);
    let now = text ?? '{}';
    for (const key of stray) now = removeKey(now, ['enabledPlugins', key], noFileNotes(), where);
    await writeText(m, where, text, now);
    done.push(`keys without a plugin are gone: ${stray.join(', ')}`);
  }
  return done;
}
