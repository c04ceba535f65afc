import { raw, type Raw, Unreadable } from './raw.js'

/** The two grammars: `posix` as dash reads it, `bash` as bash does. */
export type Dialect = 'posix' | 'bash'

/** mvdan-sh after loading. */
export interface Parser {
  /** @throws an object with `Text` on a syntax error, RangeError when the text nests too deeply. */
  parse(source: string, dialect: Dialect): Raw
  /** Whether what `parse` threw says that the text may go on: an open quote, here-document, list or loop. */
  isIncomplete(error: unknown): boolean
}

let loaded: Parser | undefined

/**
 * Loads the parser; once for the process, later calls return at once. sh-syntax wraps the same Go parser, but its tree ends
 * at statements; mvdan-sh, by the grammar's own author, gives all of it, and synchronously.
 */
export async function loadShell(): Promise<void> {
  if (loaded !== undefined) return
  // Its runtime lifts the limit on stack traces for the whole process and hangs `require` on the global object: neither
  // is ours to give away.
  const limit = Error.stackTraceLimit
  const before = Object.getOwnPropertyDescriptor(globalThis, 'require')
  try {
    const imported: unknown = await import('mvdan-sh')
    loaded = parser(object(object(object(imported)['default'])['syntax']))
  } finally {
    Error.stackTraceLimit = limit
    if (before === undefined) Reflect.deleteProperty(globalThis, 'require')
    else Object.defineProperty(globalThis, 'require', before)
  }
}

/** The loaded parser; undefined before loadShell(): the caller then vouches for nothing. */
export function loadedParser(): Parser | undefined {
  return loaded
}

function parser(syntax: Raw): Parser {
  const variants = { posix: syntax['LangPOSIX'], bash: syntax['LangBash'] }
  return {
    // A parser for each text: one that gave up in the middle keeps state.
    parse: (source, dialect) => {
      const file = invoke(object(invoke(syntax, 'NewParser', invoke(syntax, 'Variant', variants[dialect]))), 'Parse', source, '')
      return raw(object(file)['__internal_object__'])
    },
    isIncomplete: (error) => invoke(syntax, 'IsIncomplete', error) === true,
  }
}

function invoke(target: Raw, method: string, ...args: readonly unknown[]): unknown {
  const member = target[method]
  if (typeof member !== 'function') throw new TypeError(`mvdan-sh has no ${method}`)
  const result: unknown = Reflect.apply(member, target, args)
  return result
}

function object(value: unknown): Raw {
  if (!isObject(value)) throw new Unreadable('mvdan-sh is of another release')
  return value
}

function isObject(value: unknown): value is Raw {
  return (typeof value === 'object' || typeof value === 'function') && value !== null
}
