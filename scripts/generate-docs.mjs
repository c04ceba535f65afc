import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { apiPages } from './api-client.mjs'
import { root } from './tools.mjs'

/**
 * Writes the pages, and the marked parts of pages, that come out of the code. With `--check` nothing is written: the exit
 * code says whether all of them are as the code would have them. Needs the build.
 */
const check = process.argv.includes('--check')
const built = (path) => import(pathToFileURL(join(root, path)).href)
const stale = []

function page(path, text) {
  const file = join(root, path)
  const wanted = text.endsWith('\n') ? text : `${text}\n`
  if (existsSync(file) && readFileSync(file, 'utf8') === wanted) return
  if (check) {
    stale.push(relative(root, file))
    return
  }
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, wanted)
  process.stdout.write(`wrote ${path}\n`)
}

/** Replaces what stands between `<!-- generated: NAME -->` and `<!-- end -->`. */
function part(path, name, text) {
  const file = join(root, path)
  const before = readFileSync(file, 'utf8')
  const marker = `<!-- generated: ${name} -->`
  const from = before.indexOf(marker)
  const to = before.indexOf('<!-- end -->', from)
  if (from < 0 || to < 0) throw new Error(`${path} has no part "${name}"`)
  page(path, `${before.slice(0, from + marker.length)}\n${text.trim()}\n${before.slice(to)}`)
}

async function policy() {
  const { policyReference } = await built('packages/policy/dist/index.js')
  const { sqlActions } = await built('protocols/postgres/dist/analyse/actions.js')
  page('docs/policy-reference.md', policyReference({ postgres: sqlActions }))
}

async function gatewaySettings() {
  const { settings } = await built('apps/gateway/dist/config/settings.js')
  const { listenSetting, publicAddressSetting } = await built('apps/gateway/dist/config/config.js')
  const { protocols } = await built('apps/gateway/dist/protocols.js')
  const rows = [...Object.values(settings), ...protocols.flatMap(({ front, defaultListen }) => [listenSetting(front.protocol, defaultListen), ...(front.usesHostKeys ? [publicAddressSetting(front.protocol)] : [])])]
    .map(({ env, default: fallback, doc, secret }) => `| \`${env}\` | ${fallback === undefined ? '' : `\`${fallback}\``} | ${doc}${secret ? ' Secret.' : ''} |`)
  part('docs/operations.md', 'gateway settings', ['| variable | default | meaning |', '|---|---|---|', ...rows].join('\n'))
}

let asked = 0

/** What the command prints for `--help`. In this process: thirty of their own would take half a minute. */
async function help(words) {
  const { argv, exitCode } = process
  asked += 1
  const write = process.stdout.write
  let text = ''
  process.argv = [argv[0], 'sallyport', ...words, '--help']
  process.stdout.write = (chunk) => {
    text += chunk
    return true
  }
  try {
    // Another query is another instance: the program runs when its module is loaded.
    await import(`${pathToFileURL(join(root, 'apps/cli/dist/main.js')).href}?help=${asked}`)
  } finally {
    process.stdout.write = write
    process.argv = argv
    process.exitCode = exitCode
  }
  return text.trimEnd()
}

/** Names under "Commands:", without `help` and `version`. */
function commandsOf(text) {
  const [, section = ''] = text.split('\nCommands:\n')
  return [...section.matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(([, name]) => name).filter((name) => name !== 'help' && name !== 'version')
}

async function cli() {
  // Help is as wide as the terminal otherwise.
  Object.defineProperty(process.stdout, 'isTTY', { value: false, configurable: true })
  process.env['NO_COLOR'] = '1'
  process.stdout.setMaxListeners(0)
  const top = await help([])
  const groups = []
  for (const name of commandsOf(top)) {
    const text = await help([name])
    groups.push({ name, text })
    for (const child of commandsOf(text)) groups.push({ name: `${name} ${child}`, text: await help([name, child]) })
  }
  const sections = groups.map(({ name, text }) => `## sallyport ${name}\n\n\`\`\`text\n${withoutGlobals(text)}\n\`\`\``)
  const intro = 'Generated from the texts that `--help` prints: do not edit. `--url`, `--api-token-file`, `-o` and `-h` work with every command, before or after its name, and are listed here once.'
  page('docs/cli.md', ['# The sallyport command', '', intro, '', '```text', top, '```', '', sections.join('\n\n')].join('\n'))
}

/** The options that every command has, with their continuation lines, are told once. */
function withoutGlobals(text) {
  const out = []
  let skipping = false
  for (const line of text.split('\n')) {
    if (/^ {2}(--url <url>|--api-token-file <file>|-o, --output|-h, --help|help \[command\])/.test(line)) skipping = true
    else if (!/^ {8,}\S/.test(line)) skipping = false
    if (!skipping) out.push(line)
  }
  return out.join('\n').replace(/\nOptions:\n(?=\n|$)/g, '').replace(/\n{3,}/g, '\n\n').trimEnd()
}

for (const [path, text] of await apiPages()) page(path, text)
await policy()
await gatewaySettings()
await cli()
const { faultsPage } = await built('test/audit/faults.ts')
page('docs/audit-faults.md', faultsPage())
if (stale.length > 0) {
  process.stdout.write(`${stale.join(', ')} ${stale.length === 1 ? 'is' : 'are'} not what the code says: run node scripts/generate-docs.mjs\n`)
  process.exitCode = 1
}
