import type { Needs } from './features.js'
import type { DetectorName } from './names.js'

/** Reports a find: character offsets, end exclusive. */
export type Report = (start: number, end: number) => void

/**
 * Finds one kind of content. Built-in patterns run on the native engine, so each must be linear by construction: literal
 * anchors, single character classes with bounded repetition, no quantifier inside a quantifier's reach of the same text.
 */
export interface Detector {
  readonly name: DetectorName
  readonly group: 'secrets' | 'pii'
  /** One line for the reference. */
  readonly about: string
  /** What a value must have to hold one, at the least; one of these is enough. Never more than every find has. */
  readonly needs: readonly Needs[]
  /** Literal text of which one must occur, checked for all detectors at once; undefined when there is none. */
  readonly anchors?: readonly string[]
  find(text: string, report: Report): void
}

/** Reports every match of a pattern with the flag `g`. */
export function each(pattern: RegExp, text: string, report: (match: RegExpExecArray) => void): void {
  pattern.lastIndex = 0
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    if (match[0] === '') pattern.lastIndex++
    report(match)
  }
}

/** Index of the first character from `from` on that isn't in the class, at most `max` characters on. */
export function runEnd(text: string, from: number, max: number, inClass: (code: number) => boolean): number {
  const end = Math.min(text.length, from + max)
  let index = from
  while (index < end && inClass(text.charCodeAt(index))) index++
  return index
}

export function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}

export function isAlphanumeric(code: number): boolean {
  return isDigit(code) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122)
}
