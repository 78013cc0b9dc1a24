import { join } from 'node:path';
import { isJsonObject } from '../../domain/json/read.ts';
import { MARKETPLACE } from '../claude/marketplace.ts';
import { parseSettings, pointer } from '../claude/settings-edit.ts';
import { readOurs } from '../files/text-file.ts';
import { planLoose } from '../loose/index.ts';
import { leadsInto } from '../loose/layout-text.ts';
import { contentsOnDisk, looseDirs } from '../loose/plan.ts';
import type { Machine } from '../machine.ts';
import { readBlob } from '../store/blob-store.ts';
import {
  type FileNotes,
  type Layout,
  type LooseReceipt,
  noFileNotes,
  type Receipt,
  type ReceiptNotes,
  type Receipts,
} from './index.ts';

/** What lost receipts said of other people's files, found out again from those. */

/** How plugins lie here: the configuration may ask for the other layout by now. @throws HaiveError SETTINGS_INVALID, IO_ERROR */
export async function layoutHere(m: Machine, wanted: Layout): Promise<Layout> {
  const { settings, claudeJson, root, versions } = m.paths;
  const { hooks, extraKnownMarketplaces } = await readKeys(settings);
  if (isJsonObject(extraKnownMarketplaces) && leadsInto(extraKnownMarketplaces[MARKETPLACE], root)) return 'native';
  const { mcpServers } = await readKeys(claudeJson);
  return leadsInto([hooks, mcpServers], versions) ? 'loose' : wanted;
}

async function readKeys(path: string): Promise<Record<string, unknown>> {
  const text = await readOurs(path);
  return text === null ? {} : parseSettings(text, path);
}

/** Fills in what the plugins have outside their trees. @throws HaiveError SETTINGS_INVALID, IO_ERROR */
export async function giveOutside(m: Machine, next: Receipts): Promise<void> {
  const others: LooseReceipt[] = [];
  for (const receipt of Object.values(next.plugins)) {
    receipt.globalCommands = [];
    receipt.loose = await regainLoose(m, receipt, others);
    others.push(receipt.loose);
  }
}

/**
 * @param files of its version: a copy is ours also where the tree has lost the file
 * @param others what is known again of other plugins
 */
async function regainLoose(
  m: Machine,
  { name, dir, files }: Pick<Receipt, 'name' | 'dir' | 'files'>,
  others: LooseReceipt[],
): Promise<LooseReceipt> {
  const tree = await contentsOnDisk(m, dir);
  const there = new Set(tree.files.map((file) => file.path));
  const gone = new Map(files.filter((file) => !there.has(file.path)).map((file) => [file.path, file]));
  const read = async (path: string): Promise<Buffer | null> => {
    const lost = gone.get(path);
    return lost === undefined ? tree.read(path) : readBlob(m, lost.sha256).catch(() => null);
  };
  const source = { plugin: name, root: join(m.paths.root, dir), files: [...tree.files, ...gone.values()], read };
  const about = { before: undefined, others, leaving: new Set<string>(), editsTaken: false, warnings: [] };
  return planLoose(m, source, { ...about, fresh: true, lost: true });
}

/** What is empty once ours is gone was made for it, as a rule. */
export function notesOf(next: Receipts): ReceiptNotes {
  const { notes, layout, plugins } = next;
  const made = (parents: string[]): FileNotes => ({ ...noFileNotes(), created: true, parents });
  if (layout === 'native') {
    const parents = ['extraKnownMarketplaces', 'enabledPlugins'].map((key) => pointer([key]));
    const bare = Object.values(plugins).some((receipt) => receipt.globalCommands.length > 0);
    return { ...notes, settings: made(parents), installedPlugins: made([]), madeDirs: bare ? ['commands'] : [] };
  }
  const events = new Set(Object.values(plugins).flatMap(({ loose }) => loose?.hooks.map((hook) => hook.event) ?? []));
  const lists = [...events].map((event) => pointer(['hooks', event]));
  return {
    ...notes,
    settings: made([pointer(['hooks']), ...lists]),
    claudeJson: made([pointer(['mcpServers'])]),
    madeDirs: looseDirs(next),
  };
}
