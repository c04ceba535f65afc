import { expect, test } from 'vitest'
import { makeDemoData, withCheckDigit } from './data.js'

function luhn(number: string): boolean {
  return withCheckDigit(number.slice(0, -1)) === number
}

test('the rows are the same every time', () => {
  expect(makeDemoData()).toEqual(makeDemoData())
})

test('check digits follow ISO/IEC 7812', () => {
  expect(withCheckDigit('424242424242424')).toBe('4242424242424242')
  expect(withCheckDigit('555555555555444')).toBe('5555555555554444')
})

test('values look like what detectors look for', () => {
  const { customers, orders, items, apiKeys } = makeDemoData()
  expect([customers.length, orders.length, apiKeys.length]).toEqual([120, 300, 12])
  expect(new Set(customers.map((customer) => customer.email)).size).toBe(customers.length)
  for (const customer of customers) {
    expect(customer.cardNumber).toMatch(/^\d{16}$/)
    expect(luhn(customer.cardNumber)).toBe(true)
    expect(customer.ssn).toMatch(/^9\d\d-\d\d-\d{4}$/)
  }
  const notes = customers.map((customer) => customer.notes ?? '').join('\n')
  expect(notes).toMatch(/\bAKIA[A-Z2-7]{16}\b/)
  expect(notes).toMatch(/\beyJ[\w-]+\.eyJ[\w-]+\.[\w-]+/)
  expect(notes).toMatch(/@example\./)
  for (const order of orders) {
    const lines = items.filter((item) => item.orderId === order.id)
    expect(lines.reduce((sum, line) => sum + line.quantity * line.unitCents, 0)).toBe(order.totalCents)
  }
})
