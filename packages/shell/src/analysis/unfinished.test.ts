import { beforeAll, expect, test } from 'vitest'
import { isUnfinished, loadShell } from '../index.js'

beforeAll(loadShell)

test.each(["echo 'a", 'echo "a', 'cat <<E', 'cat <<E\nx', 'for i in 1', 'for i in 1; do', 'if true; then', 'case x in', 'ls |', 'ls &&', 'echo $(', '{ ls', 'f()', 'ls \\', 'echo "a" \\'])('%j goes on', (text) => {
  expect(isUnfinished(text)).toBe(true)
})

test.each(['', 'ls', 'ls )', 'fi', "echo 'a'", 'cat <<E\nx\nE', 'for i in 1; do ls; done', 'echo a\\\\', 'ls;;', 'a\u0000', '\u202e', '('.repeat(600)])('%j does not', (text) => {
  expect(isUnfinished(text)).toBe(false)
})
