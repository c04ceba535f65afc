import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { root } from './tools.mjs'

/**
 * Every relative link of every page must lead to a file, and to a heading when it names one; generated pages must be
 * fresh; what pages say of the code by name (tests, variables, metrics, error codes, the tour) must be what the code has.
 */
export function checkDocs() {
  const problems = [
    ...pages().flatMap(brokenLinks),
    ...pages().flatMap(missingTests),
    ...pages().flatMap(missingFiles),
    ...environmentVariables(),
    ...metrics(),
    ...sqlstates(),
    ...tourOfReadme(),
  ]
  const generator = join(root, 'scripts', 'generate-docs.mjs')
  if (existsSync(generator)) {
    const check = spawnSync(process.execPath, [generator, '--check'], { cwd: root, encoding: 'utf8' })
    if (check.status !== 0) problems.push(`${check.stdout}${check.stderr}`.trim())
  }
  for (const problem of problems) process.stderr.write(`docs: ${problem}\n`)
  return problems.length === 0
}

function pages() {
  const skipped = new Set(['node_modules', 'dist', '.git', '.tools', '.sallyport', 'generated'])
  const found = []
  const walk = (directory) => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (skipped.has(entry.name)) continue
      const path = join(directory, entry.name)
      if (entry.isDirectory()) walk(path)
      else if (entry.name.endsWith('.md')) found.push(path)
    }
  }
  walk(root)
  return found
}

function brokenLinks(page) {
  const text = withoutCode(readFileSync(page, 'utf8'))
  const problems = []
  for (const [, target] of text.matchAll(/\]\(([^()\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue
    const [file, anchor] = target.split('#')
    const path = file === '' ? page : resolve(dirname(page), decodeURIComponent(file))
    const where = `${relative(root, page)} links to ${target}`
    if (!existsSync(path)) problems.push(`${where}, which isn't there`)
    else if (anchor !== undefined && statSync(path).isFile() && path.endsWith('.md') && !headings(path).has(anchor)) problems.push(`${where}, but there is no such heading`)
  }
  return problems
}

function withoutCode(text) {
  return text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '')
}

/** Anchors as GitHub makes them. */
function headings(path) {
  const lines = readFileSync(path, 'utf8').replace(/^```[\s\S]*?^```/gm, '').split('\n')
  return new Set(
    lines
      .filter((line) => /^#{1,6} /.test(line))
      .map((line) => line.replace(/^#+ /, '').trim().toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-')),
  )
}

// ---- what pages say of the code

const read = (path) => readFileSync(join(root, path), 'utf8')

/** Sources below these folders, without tests and what is generated, as [path, text]. */
function sources(folders) {
  const found = []
  const walk = (path) => {
    for (const entry of readdirSync(join(root, path), { withFileTypes: true })) {
      const child = `${path}/${entry.name}`
      if (entry.isDirectory()) {
        if (!['node_modules', 'dist', 'generated', 'testing', 'integration', 'cases'].includes(entry.name)) walk(child)
      } else if (child.endsWith('.ts') && !child.endsWith('.test.ts')) found.push([child, read(child)])
    }
  }
  for (const folder of folders) walk(folder)
  return found
}

/** Tells what stands on one side only. */
function compare(what, page, inCode, onPage) {
  return [
    ...[...inCode].filter((name) => !onPage.has(name)).map((name) => `${page} does not have the ${what} ${name}`),
    ...[...onPage].filter((name) => !inCode.has(name)).map((name) => `${page} has the ${what} ${name}, which the code does not have`),
  ]
}

/** `path/to/file.test.ts › name of a test`: both must exist. The name may be the beginning of one. */
function missingTests(page) {
  const where = relative(root, page)
  return [...readFileSync(page, 'utf8').matchAll(/`([\w./-]+\.ts) › ([^`]+)`/g)].flatMap(([, path, name]) => {
    if (!existsSync(join(root, path))) return [`${where} names ${path}, which isn't there`]
    const text = read(path).replaceAll("\\'", "'")
    return text.includes(name) ? [] : [`${where} names the test "${name}", which ${path} does not have`]
  })
}

/** A path in code style, from the repository's root, must be there. */
function missingFiles(page) {
  const text = readFileSync(page, 'utf8').replace(/^```[\s\S]*?^```/gm, '')
  return [...text.matchAll(/`((?:apps|packages|protocols|test|scripts|prisma|examples|deploy|docs)\/[\w./-]+)/g)]
    .filter(([, path]) => !/NAME|\/dist\/|deploy\/secrets/.test(path) && !existsSync(join(root, path)))
    .map(([, path]) => `${relative(root, page)} names ${path}, which isn't there`)
}

/** Those of the development runner and of the wrapper scripts are not people's to set. */
const ownVariables = new Set(['SALLYPORT_ROOT', 'SALLYPORT_CALLED_FROM'])

function environmentVariables() {
  const page = 'docs/operations.md'
  const pattern = /\b(SALLYPORT_[A-Z0-9_]*[A-Z0-9]|DATABASE_URL)\b(?![*<])/g
  const names = (text) => [...text.matchAll(pattern)].map(([, name]) => name)
  const code = sources(['apps/api/src', 'apps/gateway/src', 'apps/agent/src', 'apps/cli/src', 'packages/telemetry/src'])
  const inCode = new Set(code.flatMap(([, text]) => names(text.replaceAll(/SALLYPORT_TARGET_\*/g, ''))))
  // Made from a protocol's name.
  for (const made of ['SALLYPORT_GATEWAY_LISTEN', 'SALLYPORT_GATEWAY_PUBLIC', 'SALLYPORT_GATEWAY']) inCode.delete(made)
  inCode.add('SALLYPORT_GATEWAY_LISTEN_POSTGRES').add('SALLYPORT_GATEWAY_LISTEN_SSH').add('SALLYPORT_GATEWAY_LISTEN_KUBERNETES').add('SALLYPORT_GATEWAY_PUBLIC_POSTGRES_PORT')
  for (const name of ownVariables) inCode.delete(name)
  return compare('variable', page, inCode, new Set(names(read(page))))
}

function metrics() {
  const page = 'docs/operations.md'
  const inCode = new Set()
  for (const app of ['api', 'gateway', 'agent']) {
    for (const [, text] of sources([`apps/${app}/src`])) {
      for (const [, name] of text.matchAll(/metrics\.(?:gauge|counter|totals|histogram)\('([a-z_]+)'/g)) inCode.add(`sallyport_${app}_${name}`)
    }
  }
  return compare('metric', page, inCode, new Set([...read(page).matchAll(/`(sallyport_(?:api|gateway|agent)_[a-z_]+)`/g)].map(([, name]) => name)))
}

/** Compared with in the code, never sent to a client: undefined_object of a target without a setting, RAISE of a function. */
const notSent = new Set(['42704', 'P0001'])

function sqlstates() {
  const page = 'docs/postgres.md'
  const text = read(page)
  const state = /'((?=[0-9A-Z]*\d)[0-9A-Z]{5})'/g
  const used = sources(['protocols/postgres/src/engine', 'protocols/postgres/src/front', 'protocols/postgres/src/codec']).flatMap(([, code]) => [...code.matchAll(state)].map(([, one]) => one))
  const inCode = new Set(used.filter((one) => !notSent.has(one)))
  const onPage = new Set([...text.matchAll(/`((?=[0-9A-Z]*\d)[0-9A-Z]{5})`/g)].map(([, one]) => one))
  // Codes of sessions that did not open, with their SQLSTATE, as front.ts maps them.
  const mapped = new Set()
  let waiting = []
  for (const [, name, mappedTo] of read('protocols/postgres/src/front/front.ts').matchAll(/case '([A-Z_]+)':|return '([0-9A-Z]{5})'/g)) {
    if (name) waiting.push(name)
    else {
      for (const one of waiting) mapped.add(`${one} ${mappedTo}`)
      waiting = []
    }
  }
  const told = new Set([...text.matchAll(/^\| `([A-Z_]+)` \| `([0-9A-Z]{5})` \|$/gm)].map(([, name, one]) => `${name} ${one}`))
  return [...compare('SQLSTATE', page, inCode, onPage), ...compare('code', page, mapped, told)]
}

/** The tour that `npm start` prints and the one that README.md shows are the same commands. */
function tourOfReadme() {
  const welcome = read('apps/dev/src/stack/welcome.ts')
  const readme = read('README.md')
  const constant = (name) => new RegExp(`const ${name} = ['\x60](.*)['\x60]$`, 'm').exec(welcome)?.[1] ?? ''
  const filled = (text) =>
    text
      .replaceAll('${exec}', constant('exec'))
      .replaceAll('${claims}', constant('claims'))
      .replaceAll('${mintUrl}', 'http://127.0.0.1:8474/mint')
      .replaceAll('${demoTargetName}', 'orders-db')
  const commands = [...welcome.matchAll(/commands: \[(.*)\]/g)].flatMap(([, list]) => [...list.matchAll(/\x60([^\x60]+)\x60|'((?:[^'\\]|\\.)+)'(?=,|$)/g)].map(([, a, b]) => filled(a ?? b)))
  if (commands.length < 10) return ['the tour of apps/dev/src/stack/welcome.ts could not be read']
  return commands.filter((command) => !readme.includes(command)).map((command) => `README.md does not show the tour's command: ${command}`)
}

if (process.argv[1] === import.meta.filename) process.exitCode = checkDocs() ? 0 : 1
