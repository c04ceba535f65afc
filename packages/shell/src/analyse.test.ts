import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { builtinsCases } from './cases/builtins.js'
import { type Case, rendered } from './cases/case.js'
import { programsCases } from './cases/programs.js'
import { wordsCases } from './cases/words.js'
import { wrappersCases } from './cases/wrappers.js'
import { analyseArgv, analyseShell, loadShell, quoteArgv } from './index.js'

beforeAll(loadShell)

const tables: readonly (readonly [string, readonly Case[]])[] = [
  ['words', wordsCases],
  ['wrappers', wrappersCases],
  ['builtins', builtinsCases],
  ['programs', programsCases],
]

for (const [name, cases] of tables) {
  describe(`S6 ${name}`, () => {
    it.each(cases.map(([line, ...gives]) => ({ line, gives })))('$line', ({ line, gives }) => {
      expect(rendered(analyseShell(line))).toEqual(gives)
    })
  })
}

describe('S6 a shell that is known', () => {
  it.each([
    ['bash', 'echo {a,b}c', ['echo ac bc']],
    ['bash', "echo $'a\\tb'", ["echo 'a\tb'"]],
    ['bash', '[[ -f x ]] && ls', ['ls']],
    ['bash', 'diff <(ls a) <(ls b)', ['ls a', 'ls b', "diff '<(ls a)' '<(ls b)' ?1,2"]],
    ['bash', 'ls &> f', ['ls', 'write f']],
    ['bash', '[ "$a" "$b" ]', ["'[' '\"$a\"' '\"$b\"' ']' ?1,2", 'opaque: test -v evaluates what it is given']],
    ['bash', '[ -n "$a" ] && [ "$a" = b ]', ["'[' -n '\"$a\"' ']' ?2", "'[' '\"$a\"' '=' b ']' ?1"]],
    ['bash', 'a=(x $(id)); ls', ['id', 'ls']],
    ['bash', '[[ -v "a[$(id)]" ]]', ['id', 'opaque: a test evaluates what variables hold as arithmetic']],
    ['bash', '[[ x =~ ${y@P} ]]', ['opaque: a transformation can run what the variable holds']],
    ['bash', 'echo !(x)', ["echo '!(x)' ?1", 'opaque: an extended glob is read differently where extglob is off']],
    ['bash', 'for ((i=0;i<3;i++)); do ls; done', ['ls', 'opaque: arithmetic evaluates what variables hold']],
    ['posix', 'echo {a,b}c', ["echo '{a,b}c'"]],
    ['posix', '[[ -f x ]]', ["'[[' -f x ']]'", 'opaque: the command word is a reserved word']],
    ['posix', 'a=(x)', ["opaque: it isn't valid shell"]],
  ] as const)('%s: %s', (dialect, line, gives) => {
    expect(rendered(analyseShell(line, { dialect }))).toEqual(gives)
  })
})

describe('S6 an argv without a shell', () => {
  it.each([
    [['ls', '-l', '$(id)', '*'], ["ls -l '$(id)' '*'"]],
    [['sh', '-c', 'ls | rm x'], ['sh -c > ls', 'sh -c > rm x']],
    [['eval', 'ls'], ['eval ls']],
    [['env', 'exec', 'ls'], ['env > exec ls']],
    [['python3', '-c', '1'], ['python3 -c 1', 'opaque: python3 -c can run code']],
    [[], ['opaque: no command']],
    [['ls', 'a\0b'], ['opaque: not a text']],
    [['l\u200Bs'], ["'l\u200Bs'", 'opaque: the command word has characters outside of printable ASCII']],
  ] as const)('%j', (argv, gives) => {
    expect(rendered(analyseArgv(argv))).toEqual(gives)
  })
})

describe('S6 limits', () => {
  const opaqueOf = (text: string) => analyseShell(text).opaque.map(({ reason }) => reason)

  it.each([
    ['a NUL', 'ls\0rm', 'a NUL character'],
    ['a carriage return', 'ls\rrm', "a control character, or one that isn't visible"],
    ['a no-break space', 'ls\u00A0rm', "a control character, or one that isn't visible"],
    ['half a surrogate pair', 'ls \uD800', 'not valid Unicode'],
    ['a long text', `ls ${'x'.repeat(64 * 1024)}`, 'longer than 65536 characters'],
    ['many words', 'ls;'.repeat(3000), 'more words than are analysed'],
    ['deep brackets', `${'('.repeat(400)}ls${')'.repeat(400)}`, 'nested too deeply'],
    ['very deep brackets', `${'('.repeat(4000)}ls`, 'nested too deeply'],
    ['deep substitutions', `echo ${'$(echo '.repeat(300)}x${')'.repeat(300)}`, 'nested too deeply'],
    ['a long pipeline', Array.from({ length: 300 }, () => 'ls').join('|'), 'nested too deeply'],
    ['nothing', ' \n', 'no command'],
  ])('%s', (_name, text, reason) => {
    expect(opaqueOf(text)).toContain(reason)
  })

  it('shells in shells', () => {
    let text = 'ls'
    for (let level = 0; level < 7; level++) text = quoteArgv(['sh', '-c', text])
    expect(opaqueOf(text)).toContain('shells in shells, too many')
  })

  it('wrappers around wrappers', () => {
    expect(opaqueOf(`${'nohup '.repeat(50)}ls`)).toContain('wrapped too often')
  })

  it('takes no second for the worst of texts that it accepts', () => {
    const started = performance.now()
    analyseShell('a=1 b;'.repeat(1600))
    expect(performance.now() - started).toBeLessThan(4000)
  })
})

describe('the parser', () => {
  it('leaves the process as it was', async () => {
    await loadShell()
    expect(Number.isFinite(Error.stackTraceLimit)).toBe(true)
    expect('require' in globalThis).toBe(false)
  })
})

describe('S6 properties', () => {
  const argv = fc.array(fc.string({ unit: 'grapheme', minLength: 0, maxLength: 12 }), { minLength: 0, maxLength: 5 })

  it('reads what quoteArgv writes as the same argv', () => {
    fc.assert(
      fc.property(argv, (rest) => {
        const words = ['printf', '%s', ...rest]
        fc.pre(words.every((word) => !/[^\P{C}\t\n]/u.test(word) && !/[^\P{Z} ]/u.test(word)))
        expect(analyseShell(quoteArgv(words))).toEqual({
          commands: [{ argv: words, assignments: [], via: [], text: quoteArgv(words) }],
          redirections: [],
          opaque: [],
        })
      }),
      { numRuns: 300 },
    )
  })

  it('never throws, and never finds nothing in a text that says something', () => {
    const pieces = ['a', ' ', '\n', ';', '|', '&', '(', ')', '{', '}', '$', '`', '"', "'", '\\', '<', '>', '#', '!', '=', '[', ']', '*', '?', '~', '-', '1', 'if', 'then', 'fi', 'for', 'do', 'done', 'case', 'in', 'esac', 'sh', '-c', 'sudo', 'env', 'E', '<<', '$((', '))', '${', '\t']
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 25 }), (parts) => {
        const text = parts.join('')
        const { commands, opaque, redirections } = analyseShell(text)
        if (/^[a-z]/.test(text) && !/^[a-z]\w*\+?=/.test(text)) expect(commands.length + opaque.length + redirections.length).toBeGreaterThan(0)
        expect(() => analyseShell(text, { dialect: 'bash' })).not.toThrow()
      }),
      { numRuns: 500 },
    )
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        expect(() => analyseShell(text)).not.toThrow()
        expect(() => analyseArgv(text.split(' '))).not.toThrow()
      }),
      { numRuns: 200 },
    )
  })
})
