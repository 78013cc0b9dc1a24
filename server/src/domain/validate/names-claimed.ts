import { isJsonObject, readJson } from '../json/read.ts';
import { ownServers } from '../translate/grants.ts';
import { type Component, componentsOf } from '../version/components.ts';
import { MANIFEST_PATH, MCP_PATH, namedPaths } from '../version/file-types.ts';
import type { Subject } from './subject.ts';

/** Two components that claim one name: commands and skills share `/PLUGIN:NAME`; servers of several files share theirs. */
export function checkNamesClaimed(subject: Subject): void {
  const claimed = new Map<string, string>();
  for (const component of componentsOf(subject.manifest, [...subject.files.keys()].sort())) {
    const name = slashName(component);
    if (name === undefined) continue;
    const other = claimed.get(name);
    if (other === undefined) claimed.set(name, component.file);
    else claim(subject, component.file, `${other} is called /${name.slice(0, 80)} too; only one is loaded.`);
  }
  checkServerNames(subject);
}

/** Undefined where the front matter says it. */
const slashName = ({ name, namesItself }: Component): string | undefined =>
  namesItself ? undefined : name.replaceAll('/', ':');

function checkServerNames(subject: Subject): void {
  const declared = subject.manifest.mcpServers;
  const files = new Set([MCP_PATH, ...(isJsonObject(declared) ? [] : namedPaths(declared))]);
  const seen = new Map<string, string>();
  const take = (where: string, names: readonly string[]) => {
    for (const name of names) {
      const other = seen.get(name);
      if (other !== undefined)
        claim(subject, where, `${other} brings a server ${name.slice(0, 60)} too; one hides the other.`);
      seen.set(name, where);
    }
  };
  for (const path of files) {
    const value = readJson(subject.files.get(path)?.bytes);
    if (value !== undefined)
      take(
        path,
        ownServers({ mcpServers: value }, () => undefined),
      );
  }
  const inline = isJsonObject(declared) ? [declared] : Array.isArray(declared) ? declared.filter(isJsonObject) : [];
  for (const block of inline)
    take(
      MANIFEST_PATH,
      ownServers({ mcpServers: block }, () => undefined),
    );
}

function claim(subject: Subject, path: string, message: string): void {
  subject.warn('NAME_CLAIMED_TWICE', path, undefined, message, 'Rename one.');
}
