import { fold, idOf } from './keys.js'
import { Tape, Token } from './tape.js'

export interface RootFacts {
  /** Folded; every one, should it stand there twice. */
  readonly kinds: readonly string[]
  /** Names of a Table's columns, `*` where one has none; undefined when it doesn't say. */
  readonly columns: readonly string[] | undefined
}

const kind = idOf('kind')
const definitions = idOf('columndefinitions')
const columnName = idOf('name')

/** What an object says about itself at its top level. */
export function factsOf(tape: Tape, index: number): RootFacts {
  const kinds: string[] = []
  let columns: string[] | undefined
  const end = tape.next(index)
  for (let key = index + 1; key < end; key = tape.next(key + 1)) {
    const value = key + 1
    if (tape.id(key) === kind && tape.isText(value)) kinds.push(fold(tape.text(value)))
    if (tape.id(key) === definitions && tape.kind(value) === Token.Array) {
      columns = []
      for (let column = value + 1; column < tape.next(value); column = tape.next(column)) columns.push(nameOf(tape, column))
    }
  }
  return { kinds, columns }
}

function nameOf(tape: Tape, index: number): string {
  if (tape.kind(index) !== Token.Object) return '*'
  for (let key = index + 1; key < tape.next(index); key = tape.next(key + 1))
    if (tape.id(key) === columnName && tape.isText(key + 1)) return tape.text(key + 1)
  return '*'
}
