import type { Dialect } from '../grammar/parser.js'
import type { Assignment, Redirection } from '../types.js'
import type { Field } from '../words/field.js'

/** What one command comes to. Handlers are functions from arguments to steps; one place carries the steps out. */
export type Step =
  /** Report the command as it stands. */
  | { readonly kind: 'itself' }
  /** It starts another program with these words. */
  | {
      readonly kind: 'run'
      readonly words: readonly Field[]
      /** Undefined for what adds nothing, such as `command` and `exec`. */
      readonly via?: string
      readonly runAs?: string
      readonly assignments?: readonly Assignment[]
      /** The words are looked up by the shell: builtins and functions first. */
      readonly inShell?: boolean
    }
  /** It has a shell read this text; no dialect: a shell that isn't known. */
  | { readonly kind: 'text'; readonly text: string; readonly dialect?: Dialect; readonly via: string; readonly runAs?: string }
  | { readonly kind: 'opaque'; readonly reason: string }
  | { readonly kind: 'redirect'; readonly redirection: Redirection }
  /** It sets a variable of the shell itself. */
  | { readonly kind: 'sets'; readonly name: string; readonly value: string }

export interface Surroundings {
  /** The program's name, without folder. */
  readonly name: string
  readonly dialect: Dialect
  /** The text of its standard input when that is known. */
  readonly stdin?: string
}

/** @param args the words behind the command word */
export type Handler = (args: readonly Field[], surroundings: Surroundings) => readonly Step[]

export const itself: readonly Step[] = [{ kind: 'itself' }]

/** Reported, so that a reader sees what it was, and opaque, so that it isn't allowed for what it seems to be. */
export function opaque(reason: string): readonly Step[] {
  return [{ kind: 'itself' }, { kind: 'opaque', reason }]
}
