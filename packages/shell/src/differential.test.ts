import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { analyseShell, type Dialect, loadShell, type ShellAnalysis } from './index.js'

/**
 * What is generated here is run by real shells. They find no program (PATH is an empty folder), the texts have no slash to
 * leave that folder with, and recursion, time and file sizes are bounded.
 */
const home = mkdtempSync(join(tmpdir(), 'sallyport-shell-'))
const folder = join(home, 'work')
const environment = { PATH: folder, HOME: folder, LC_ALL: 'C.UTF-8', FUNCNEST: '4', BASH_ENV: join(home, 'prelude') }

beforeAll(async () => {
  await loadShell()
  mkdirSync(folder)
  // bash calls this for every command that is neither builtin nor found: all of them.
  writeFileSync(join(home, 'prelude'), `ulimit -t 2 -f 64\ncommand_not_found_handle() { { printf '%s\\0' "$#" "$@"; } >> "$MARK"; }\n`)
})
afterAll(() => rmSync(home, { recursive: true, force: true }))

const inQuotes = fc.stringMatching(/^[ab ;|&<>(){}$`#*?~!=,.\n\t-]{0,4}$/)
const bare = fc.stringMatching(/^[abc{},.=:%@+^-]{1,4}$/)

function piece(dialect: Dialect): fc.Arbitrary<string> {
  const always = [
    bare,
    inQuotes.map((text) => `'${text}'`),
    inQuotes.map((text) => `"${text.replaceAll(/["$`\\]/g, String.raw`\$&`)}"`),
    fc.constantFrom(' ', ';', '|', '&', '<', '(', ')', '$', '`', '"', "'", '\\', '#', '*', '?', '[', '~', '{', '}', ',').map((char) => `\\${char}`),
    fc.constantFrom('"a\\b"', '"\\\\"', '"a\\\nb"', 'a\\\nb'),
  ]
  const bash = [fc.constantFrom("$'\\n'", "$'\\x41'", "$'\\101'", "$'\\''", "$'a\\\\b'", "$'\\u0041'", "$'\\t\\e'")]
  return fc.oneof(...always, ...(dialect === 'bash' ? bash : []))
}

describe.each([
  ['bash', '/bin/bash'],
  ['posix', '/bin/sh'],
] as const)('S6 words as %s reads them', (dialect, path) => {
  it.skipIf(!existsSync(path))(`gives the argv that ${path} gives`, () => {
    const words = fc.array(fc.array(piece(dialect), { minLength: 1, maxLength: 5 }).map((parts) => parts.join('')), { minLength: 1, maxLength: 4 })
    let compared = 0
    fc.assert(
      fc.property(words, (list) => {
        const line = `printf '%s\\0' -- ${list.join(' ')}`
        const { commands, opaque } = analyseShell(line, { dialect })
        if (opaque.length > 0 || commands[0]?.unknownArguments !== undefined) return
        compared++
        const said = execFileSync(path, ['-c', line], { cwd: folder, env: environment, encoding: 'utf8', timeout: 5000 })
        expect(commands).toHaveLength(1)
        expect(commands[0]?.argv.slice(2)).toEqual(said.split('\0').slice(0, -1))
      }),
      { numRuns: 150 },
    )
    // A test that compares nothing shows nothing.
    expect(compared).toBeGreaterThan(50)
  }, 60_000)
})

/** Texts with a grammar, so that most are run, and then bent a little, so that the readers have something to disagree about. */
const { list: wellFormed } = fc.letrec<{ word: string; command: string; list: string }>((tie) => ({
  word: fc
    .array(
      fc.oneof(
        { maxDepth: 3 },
        { weight: 6, arbitrary: fc.constantFrom('a', 'b', 'x=', '$x', "'a b'", '"a b"', '\\ ', "$'a\\x20b'", '{a,b}', '\\"', '#', '!', '"a\\\nb"', '*', '-') },
        { weight: 2, arbitrary: tie('list').map((inner) => `$(${inner})`) },
        { weight: 2, arbitrary: tie('list').map((inner) => `"$(${inner})"`) },
        { weight: 1, arbitrary: tie('list').map((inner) => `\`${inner}\``) },
        { weight: 1, arbitrary: fc.constantFrom('a', 'b c', '*', "'", '$(b)').map((inner) => `"\${x:-${inner}}"`) },
      ),
      { minLength: 1, maxLength: 3 },
    )
    .map((parts) => parts.join('')),
  command: fc.oneof(
    { maxDepth: 3 },
    {
      weight: 8,
      arbitrary: fc
        .tuple(
          fc.constantFrom('a', 'b', 'c', 'x=1 a', '! b', 'time c', '>f a', 'a <<E\n$(b)\nE\n', "a <<'E'\n$(b)\nE\n", 'c <<<a', 'a 2>&1'),
          fc.array(tie('word'), { maxLength: 2 }),
        )
        .map(([head, words]) => (head.endsWith('\n') ? head : [head, ...words].join(' '))),
    },
    ...[
      tie('list').map((inner) => `( ${inner} )`),
      tie('list').map((inner) => `{ ${inner}; }`),
      tie('list').map((inner) => `if ${inner}; then ${inner}; fi`),
      tie('word').map((word) => `for i in ${word} b; do a $i; done`),
      tie('word').map((word) => `case ${word} in a|b) c;; *) a ${word};; esac`),
      tie('word').map((word) => `[[ -n ${word} ]]`),
      tie('word').map((word) => `x=${word}`),
      tie('list').map((inner) => `a <(${inner})`),
    ].map((arbitrary) => ({ weight: 1, arbitrary })),
  ),
  list: fc
    .tuple(tie('command'), fc.option(fc.tuple(fc.constantFrom('; ', ' | ', ' && ', ' || ', ' & ', '\n', '|&'), tie('command')), { nil: undefined }))
    .map(([first, rest]) => (rest === undefined ? first : first + rest.join(''))),
}))

const bends = fc.constantFrom('', '', '"', "'", '\\', '`', '(', ')', '{', '}', '$', '#', '\n', ' ', '\\\n', '<', '!', ';', '&', '=', '$(', '"$(', 'E\n')

const bent = fc.tuple(wellFormed, fc.nat(), fc.nat({ max: 1 }), bends).map(([text, at, removed, inserted]) => {
  const where = at % (text.length + 1)
  return text.slice(0, where) + inserted + text.slice(where + removed)
})

describe('S6 commands that bash really starts', () => {
  it.skipIf(!existsSync('/bin/bash'))('are all in the analysis, or the text is opaque', () => {
    let compared = 0
    let runs = 0
    fc.assert(
      fc.property(fc.oneof(wellFormed, bent), (text) => {
        const analysis = analyseShell(text, { dialect: 'bash' })
        if (analysis.opaque.length > 0) return
        // A log for each run: what runs in the background may write later.
        const log = join(home, `log-${runs++}`)
        spawnSync('/bin/bash', ['-c', text], { cwd: folder, env: { ...environment, MARK: log }, timeout: 5000, stdio: 'ignore' })
        if (!existsSync(log)) return
        for (const argv of logged(readFileSync(log, 'utf8'))) {
          compared++
          expect(matches(argv, analysis), `${JSON.stringify(text)} started ${JSON.stringify(argv)}`).toBe(true)
        }
      }),
      { numRuns: Number(process.env['SHELL_FUZZ_RUNS'] ?? 500) },
    )
    expect(compared).toBeGreaterThan(50)
  }, 200_000)
})

/** The log holds the number of words, then the words, for each command. */
function logged(text: string): readonly (readonly string[])[] {
  const fields = text.split('\0')
  const found: string[][] = []
  for (let at = 0; at + 1 < fields.length; ) {
    const count = Number(fields[at])
    const words = fields.slice(at + 1, at + 1 + count)
    // Quoted, it is a program to bash, and a wrapper to the analysis.
    found.push(words[0] === 'time' ? words.slice(1) : words)
    at += 1 + count
  }
  return found
}

function matches(argv: readonly string[], analysis: ShellAnalysis): boolean {
  return analysis.commands.some((command) => {
    const unknown = command.unknownArguments ?? []
    const sure = unknown.length === 0 ? command.argv.length : (unknown[0] ?? 0)
    if (unknown.length === 0 && argv.length !== command.argv.length) return false
    return command.argv.slice(0, sure).every((word, index) => word === argv[index])
  })
}
