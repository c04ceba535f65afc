import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { root } from './tools.mjs'

/** Every relative link of every page must lead to a file, and to a heading when it names one; generated pages must be fresh. */
export function checkDocs() {
  const problems = pages().flatMap(brokenLinks)
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

if (process.argv[1] === import.meta.filename) process.exitCode = checkDocs() ? 0 : 1
