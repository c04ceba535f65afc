import { arithmeticHazards, decodePart, decodeWord, testHazards } from './decode-word.js'
import { code, flag, list, offset, raw, type Raw, rawOrNothing, text, TooDeep, typeOf, walk } from './raw.js'
import type { Assign, Command, Redirect, Statement, Word } from './tree.js'

/** A pipeline of this many parts, or groups in groups: more than people write, less than a stack holds. */
const maxDepth = 100

/** Tokens of mvdan-sh 0.10.1; another number is another release, and then nothing is vouched for. */
const redirectOperators = new Map([
  [54, '>'],
  [55, '>>'],
  [56, '<'],
  [57, '<>'],
  [58, '<&'],
  [59, '>&'],
  [60, '>|'],
  [61, '<<'],
  [62, '<<-'],
  [63, '<<<'],
  [64, '&>'],
  [65, '&>>'],
])

const expansions = new Set(['ParamExp', 'ArithmExp', 'ExtGlob'])

/** Turns a parsed file into our tree. Everything it doesn't know becomes a hazard of what surrounds it. */
export class Decoder {
  readonly #bytes: Uint8Array
  #depth = 0

  constructor(source: string) {
    this.#bytes = new TextEncoder().encode(source)
  }

  /** @throws TooDeep, Unreadable */
  file(file: Raw): readonly Statement[] {
    return list(file['Stmts']).map((statement) => this.statement(statement))
  }

  source(node: Raw): string {
    return new TextDecoder().decode(this.#bytes.subarray(offset(node, 'Pos'), offset(node, 'End')))
  }

  /** The statements of the substitutions inside a node, however deep they stand in words, arithmetic or operands. */
  nested(node: Raw): readonly Statement[] {
    const found: Statement[] = []
    walk(node, (child) => {
      const type = typeOf(child)
      if (type !== 'CmdSubst' && type !== 'ProcSubst') return true
      found.push(...list(child['Stmts']).map((statement) => this.statement(statement)))
      return false
    })
    return found
  }

  statement(node: Raw): Statement {
    if (++this.#depth > maxDepth) throw new TooDeep()
    try {
      const command = rawOrNothing(node['Cmd'])
      return {
        command: command === undefined ? undefined : this.#command(command),
        redirects: list(node['Redirs']).map((redirect) => this.#redirect(redirect)),
        hazards: flag(node['Coprocess']) ? ['a coprocess of another shell'] : [],
        source: this.source(node),
      }
    } finally {
      this.#depth--
    }
  }

  #command(node: Raw): Command {
    const type = typeOf(node)
    switch (type) {
      case 'CallExpr':
        return {
          kind: 'call',
          assigns: list(node['Assigns']).map((assign) => this.#assign(assign)),
          words: list(node['Args']).map((word) => decodeWord(this, word)),
          source: this.source(node),
        }
      case 'DeclClause':
        return {
          kind: 'declaration',
          variant: text(raw(node['Variant'])['Value']),
          args: list(node['Args']).map((assign) => this.#assign(assign)),
          source: this.source(node),
        }
      case 'FuncDecl':
        return { kind: 'function', name: text(raw(node['Name'])['Value']), body: this.statement(raw(node['Body'])) }
      case 'TimeClause': {
        const timed = rawOrNothing(node['Stmt'])
        return { kind: 'time', statement: timed === undefined ? undefined : this.statement(timed) }
      }
      case 'Subshell':
      case 'Block':
        return this.#compound(node, list(node['Stmts']))
      case 'BinaryCmd':
        return this.#compound(node, [raw(node['X']), raw(node['Y'])])
      case 'IfClause':
        return this.#compound(node, [...ifBranches(node)])
      case 'WhileClause':
        return this.#compound(node, [...list(node['Cond']), ...list(node['Do'])])
      case 'CoprocClause':
        return this.#compound(node, [raw(node['Stmt'])], { hazards: rawOrNothing(node['Name']) === undefined ? [] : ['a coprocess sets a variable of its name'] })
      case 'ForClause':
        return this.#loop(node)
      case 'CaseClause':
        return this.#case(node)
      case 'TestClause':
        return this.#evaluated(node, testHazards(this.source(node).slice(2, -2)))
      case 'ArithmCmd':
        return this.#evaluated(node, arithmeticHazards(this.source(node)))
      case 'LetClause':
        return this.#evaluated(node, ['arithmetic evaluates what variables hold'])
      default:
        return this.#evaluated(node, [`${type} isn't analysed`])
    }
  }

  #compound(node: Raw, statements: readonly Raw[], more: { words?: readonly Word[]; names?: readonly string[]; hazards?: readonly string[] } = {}): Command {
    return {
      kind: 'compound',
      statements: statements.map((statement) => this.statement(statement)),
      words: more.words ?? [],
      names: more.names ?? [],
      hazards: more.hazards ?? [],
      source: this.source(node),
    }
  }

  #evaluated(node: Raw, hazards: readonly string[]): Command {
    const names: string[] = []
    const found: string[] = []
    walk(node, (child) => {
      const type = typeOf(child)
      if (type === 'CmdSubst' || type === 'ProcSubst') return false
      if (!expansions.has(type)) return true
      const part = decodePart(this, child)
      if (part.kind === 'dynamic') {
        found.push(...part.hazards)
        names.push(...part.names)
      }
      return true
    })
    return { kind: 'compound', statements: this.nested(node), words: [], names, hazards: [...hazards, ...found], source: this.source(node) }
  }

  #loop(node: Raw): Command {
    const loop = raw(node['Loop'])
    const body = list(node['Do'])
    if (typeOf(loop) !== 'WordIter') return this.#compound(node, body, { hazards: ['arithmetic evaluates what variables hold'] })
    return this.#compound(node, body, {
      words: list(loop['Items']).map((word) => decodeWord(this, word)),
      names: [text(raw(loop['Name'])['Value'])],
    })
  }

  #case(node: Raw): Command {
    const items = list(node['Items'])
    const words = [raw(node['Word']), ...items.flatMap((item) => list(item['Patterns']))]
    return this.#compound(
      node,
      items.flatMap((item) => list(item['Stmts'])),
      { words: words.map((word) => decodeWord(this, word)) },
    )
  }

  #assign(node: Raw): Assign {
    const name = rawOrNothing(node['Name'])
    const value = rawOrNothing(node['Value'])
    const array = rawOrNothing(node['Array'])
    const index = rawOrNothing(node['Index'])
    const hazards = index === undefined || /^\d+$/.test(this.source(index)) ? [] : ['a subscript is evaluated as arithmetic']
    return {
      name: name === undefined ? '' : text(name['Value']),
      naked: flag(node['Naked']),
      append: flag(node['Append']),
      value: value === undefined ? undefined : decodeWord(this, value),
      elements: array === undefined ? undefined : this.#elements(array, hazards),
      hazards,
      source: this.source(node),
    }
  }

  #elements(array: Raw, hazards: string[]): readonly Word[] {
    return list(array['Elems']).flatMap((element) => {
      const index = rawOrNothing(element['Index'])
      if (index !== undefined && !/^\d+$/.test(this.source(index))) hazards.push('a subscript is evaluated as arithmetic')
      return this.#optionalWord(element['Value'])
    })
  }

  #optionalWord(node: unknown): readonly Word[] {
    const word = rawOrNothing(node)
    return word === undefined ? [] : [decodeWord(this, word)]
  }

  #redirect(node: Raw): Redirect {
    const descriptor = rawOrNothing(node['N'])
    const heredoc = rawOrNothing(node['Hdoc'])
    return {
      operator: redirectOperators.get(code(node['Op'])) ?? 'unknown',
      descriptor: descriptor === undefined ? '' : text(descriptor['Value']),
      word: decodeWord(this, raw(node['Word'])),
      heredoc: heredoc === undefined ? undefined : decodeWord(this, heredoc),
    }
  }
}

/** `else` and `elif` hang as a chain of further clauses, the last without a condition. */
function* ifBranches(clause: Raw): Generator<Raw> {
  for (let at: Raw | undefined = clause; at !== undefined; at = rawOrNothing(at['Else'])) {
    yield* list(at['Cond'])
    yield* list(at['Then'])
  }
}
