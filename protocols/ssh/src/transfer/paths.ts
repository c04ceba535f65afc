import { posix } from 'node:path'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * A path as text. Only what every reader of a policy, an approval and a log sees the same way: invalid UTF-8 has no spelling
 * there, and control characters forge lines.
 * @returns undefined when the bytes are refused
 */
export function decodePath(bytes: Buffer): string | undefined {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return undefined
  }
  return hasControls(text) ? undefined : text
}

/** C0, DEL and C1, which holds terminal commands of one character; line and paragraph separators. */
export function hasControls(text: string): boolean {
  return /[\p{Cc}\u2028\u2029]/u.test(text)
}

/** Absolute, without `.`, `..`, doubled or trailing slashes. */
export function isCanonical(path: string): boolean {
  return path.startsWith('/') && !path.startsWith('//') && posix.normalize(path) === path && (path === '/' || !path.endsWith('/'))
}

/** The canonical spelling, symbolic links unread: only for naming what can't be reached. */
export function lexical(path: string): string {
  const normal = posix.normalize(path).replace(/^\/+/, '/')
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal
}

export function joinPath(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`
}

export interface SplitPath {
  readonly parent: string
  /** Undefined where the last component is no name: the root, `.`, `..`. */
  readonly name: string | undefined
  readonly trailingSlash: boolean
}

/** @param path absolute, in any spelling */
export function splitPath(path: string): SplitPath {
  const stripped = path.replace(/\/+$/, '')
  const trailingSlash = stripped !== path
  const slash = stripped.lastIndexOf('/')
  const last = stripped.slice(slash + 1)
  const name = last === '' || last === '.' || last === '..' ? undefined : last
  return { parent: slash <= 0 ? '/' : stripped.slice(0, slash), name, trailingSlash }
}

/** In quotes, for people. Characters that reorder or hide others are spelt out, so that a reviewer reads what will be done. */
export function quotePath(path: string): string {
  const escaped = JSON.stringify(path)
  return escaped.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)
}

/** As `chmod` takes it, `0644`. */
export function octalMode(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0')
}

/** Set-user-id, set-group-id or sticky. */
export function hasSpecialBits(mode: number): boolean {
  return (mode & 0o7000) !== 0
}
