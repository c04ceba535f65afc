import { beforeAll, expect, test } from 'vitest'
import { analyse, loadAnalyser } from './analyse.js'
import { AnalysisCache } from './cache.js'
import { offlineCatalog, offlineNames } from './catalog.js'

beforeAll(() => loadAnalyser())

const catalog = offlineCatalog()
const ask = (cache: AnalysisCache, text: string, key = '') => cache.analyse(text, catalog, offlineNames, key, analyse)

test('a text is kept from its second time on, for its own name context', () => {
  const cache = new AnalysisCache(1_000_000)
  const first = ask(cache, 'SELECT 1')
  expect(cache.bytes).toBe(0)
  const second = ask(cache, 'SELECT 1')
  expect(second).not.toBe(first)
  expect(ask(cache, 'SELECT 1')).toBe(second)
  expect(ask(cache, 'SELECT 1', 'other search path')).not.toBe(second)
})

test('what reads prepared statements or cursors is analysed every time', () => {
  const cache = new AnalysisCache(1_000_000)
  for (let round = 0; round < 3; round += 1) ask(cache, 'PREPARE p AS SELECT 1')
  expect(cache.bytes).toBe(0)
})

test('memory is bounded, and what was used last stays', () => {
  const cache = new AnalysisCache(40_000)
  for (let index = 0; index < 200; index += 1) for (let round = 0; round < 2; round += 1) ask(cache, `SELECT ${index}`)
  expect(cache.bytes).toBeLessThanOrEqual(40_000)
  const last = ask(cache, 'SELECT 199')
  expect(ask(cache, 'SELECT 199')).toBe(last)
})
