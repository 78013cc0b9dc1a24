const NAMES = new Set(['.git', '.hg', '.svn', '.ds_store', 'thumbs.db', 'desktop.ini', '__macosx']);
const EDITOR_FILES = /(^\.#|^#.*#$|~$|\.sw[a-p]$|^\._)/;

/**
 * What packing leaves out, because no author means it: version control (`.git`, `.hg`, `.svn`), traces of desktops
 * (`.DS_Store`, `._*`, `__MACOSX`, `Thumbs.db`, `desktop.ini`), of editors (`*.swp`, `*~`, `.#*`, `#*#`) and
 * `node_modules/.cache`. `segments` are the parts of a path inside the plugin.
 */
export function isLeftOut(segments: readonly string[]): boolean {
  return segments.some(
    (segment, i) =>
      NAMES.has(segment.toLowerCase()) ||
      EDITOR_FILES.test(segment) ||
      (segment === '.cache' && segments[i - 1] === 'node_modules'),
  );
}
