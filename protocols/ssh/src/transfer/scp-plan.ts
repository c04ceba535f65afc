import type { FileEffect, FileOperation } from './file-authority.js'
import { hasSpecialBits, isCanonical, joinPath, lexical, octalMode, quotePath, splitPath } from './paths.js'
import type { ScpRecord } from './scp-records.js'

/** What the target knows of its paths. Relative ones start where its scp starts. */
export interface ScpPaths {
  /** Canonical path of what `path` leads to, through symbolic links. What doesn't exist yet: its canonical parent and its name. */
  realpath(path: string): Promise<string>
  /** Whether `path` leads to a directory; false when nothing is there. */
  isDirectory(path: string): Promise<boolean>
}

export interface ScpMode {
  /** `read` is `scp -f`, `write` is `scp -t`. */
  readonly direction: 'read' | 'write'
  /** As in the command line. */
  readonly path: string
  /** -r */
  readonly recursive: boolean
  /** -d: the path must be a directory. */
  readonly directory: boolean
  /** -p */
  readonly preserve: boolean
}

export type ScpEntry = Extract<ScpRecord, { kind: 'file' | 'directory' }>

/** Where in the transfer an entry stands. */
export interface ScpPlace {
  /** Canonical directory that the transfer is in; undefined at the top. */
  readonly inside: string | undefined
  /** Whether the sink puts what comes at the top into its path, rather than under it as a name; undefined when that isn't known. */
  readonly into: boolean | undefined
}

/**
 * Whether the sink will put files into its path. It looks once, when it starts, and so must we: a path that becomes a directory by
 * the first entry is still the name of the second one for it.
 */
export async function sinksInto(mode: ScpMode, paths: ScpPaths): Promise<boolean | undefined> {
  try {
    return mode.directory || (await paths.isDirectory(mode.path))
  } catch {
    return undefined
  }
}

/**
 * Where an entry lies.
 * @returns its canonical path; or, as `missing`, only its spelling, when the target can't resolve it
 */
export async function locate(
  mode: ScpMode,
  entry: { readonly name: string },
  place: ScpPlace,
  paths: ScpPaths,
): Promise<{ path: string; missing: boolean }> {
  let spelling = mode.path
  let path: string | undefined
  try {
    const found = spelled(mode, entry.name, place)
    if (found !== undefined) path = await paths.realpath((spelling = found))
  } catch {
    // The target's own reason stays with it: it would tell what exists.
  }
  return path !== undefined && isCanonical(path) ? { path, missing: false } : { path: lexical(`/${spelling}`), missing: true }
}

/** Undefined when it can't be told where the sink will put it. */
function spelled(mode: ScpMode, name: string, { inside, into }: ScpPlace): string | undefined {
  if (inside !== undefined) return joinPath(inside, name)
  if (mode.direction === 'read') return mode.path
  if (into === undefined) return undefined
  return into ? joinPath(mode.path.replace(/(.)\/+$/, '$1'), name) : mode.path
}

/** scp -f names what it sends after the path that it was given. Another name is not what was asked for (CVE-2019-6111). */
export function isNameOf(mode: ScpMode, name: string): boolean {
  return splitPath(`/${mode.path}`).name === name
}

export function scpOperation(mode: ScpMode, entry: ScpEntry, path: string, mtime: number | undefined): FileOperation {
  const file = entry.kind === 'file'
  if (mode.direction === 'read') {
    const effect: FileEffect = file ? { action: 'read', path, details: { size: entry.size } } : { action: 'list', path }
    return { effects: [effect], text: `scp ${file ? 'get' : 'ls'} ${quotePath(path)}` }
  }
  const permissions = octalMode(entry.mode)
  const made: FileEffect = file
    ? { action: 'write', path, details: { size: entry.size, mode: permissions } }
    : { action: 'mkdir', path, details: { mode: permissions } }
  const kept = mode.preserve || mtime !== undefined || hasSpecialBits(entry.mode)
  const details = { mode: permissions, ...(mtime === undefined ? {} : { mtime }) }
  const effects: FileEffect[] = kept ? [made, { action: 'setstat', path, details }] : [made]
  return { effects, text: `scp ${file ? 'put' : 'mkdir'} ${quotePath(path)}` }
}

/** Before anything was decided, an error of the target tells whether the path exists: that is a stat. */
export function baseOperation(path: string): FileOperation {
  return { effects: [{ action: 'stat', path }], text: `scp stat ${quotePath(path)}` }
}
