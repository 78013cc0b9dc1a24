import { namedPaths } from '../version/file-types.ts';
import type { Subject } from './subject.ts';

const ONLY_SKILL = 'skills/SKILL.md';

/** Skills that the client does not find: not in a folder of their own, or without SKILL.md directly in it. */
export function checkSkillFolders(subject: Subject): void {
  const seen = new Set<string>();
  const named = namedPaths(subject.manifest.skills);
  const isNamed = (folder: string) => named.some((place) => place === folder || place.startsWith(`${folder}/`));
  for (const path of subject.files.keys()) {
    if (!path.startsWith('skills/')) continue;
    const [, folder = '', ...rest] = path.split('/');
    if (rest.length === 0) {
      if (folder.endsWith('.md') && path !== ONLY_SKILL && folder !== 'README.md')
        subject.warn(
          'SKILL_PLACE',
          path,
          undefined,
          'A skill is a folder with SKILL.md; this file is not loaded.',
          `Move it to skills/${folder.slice(0, -3)}/SKILL.md.`,
        );
      continue;
    }
    if (seen.has(folder) || isNamed(`skills/${folder}`)) continue;
    seen.add(folder);
    if (!subject.has(`skills/${folder}/SKILL.md`)) {
      subject.warn(
        'SKILL_FILE_MISSING',
        `skills/${folder}`,
        undefined,
        `skills/${folder} has no SKILL.md (spelled so), so no skill is loaded from it.`,
        'Add SKILL.md directly in the folder.',
      );
    } else if (subject.has(ONLY_SKILL)) {
      const message = `skills/${folder} is not loaded: skills/SKILL.md makes skills/ itself the only skill.`;
      subject.warn(
        'SKILL_PLACE',
        `skills/${folder}/SKILL.md`,
        undefined,
        message,
        'Move skills/SKILL.md into a folder.',
      );
    }
  }
}
