import { isDeepStrictEqual } from 'node:util';
import { findFrontMatter, parseFrontMatter } from '../version/front-matter.ts';
import type { Report } from './index.ts';

const WHY =
  'Claude Code calls a skill in the root without a name after its folder, which has another name with each version.';

/** The SKILL.md of a plugin's root, called as the plugin where it says no name; text that cannot be read is returned as it is. */
export function nameRootSkill(text: string, plugin: unknown, report: Report): string {
  if (typeof plugin !== 'string' || !/^[a-z][a-z0-9-]*$/.test(plugin)) return text;
  const { data, body, hasFrontMatter } = parseFrontMatter(text);
  const start = findFrontMatter(text)?.start;
  const isOther = start === undefined && /^\uFEFF?---/.test(text);
  if ('name' in data || isOther) return text;
  const line = `name: ${plugin}`;
  const end = text.slice(0, start ?? text.indexOf('\n') + 1).endsWith('\r\n') ? '\r\n' : '\n';
  const bom = text.startsWith('\uFEFF') ? '\uFEFF' : '';
  const named =
    start === undefined
      ? `${bom}---${end}${line}${end}---${end}${text.slice(bom.length)}`
      : `${text.slice(0, start)}${line}${end}${text.slice(start)}`;
  const now = parseFrontMatter(named);
  if (hasFrontMatter && now.body !== body) return text;
  if (!isDeepStrictEqual(now.data, { ...data, name: plugin })) return text;
  report('skill-name', '', line, WHY);
  return named;
}
