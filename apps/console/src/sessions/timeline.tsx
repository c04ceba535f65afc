import { Badge, Group, Table, Text } from '@mantine/core'
import type { ReactNode } from 'react'
import { toneOf } from '../approvals/tone.js'
import { fieldsOf, fullTime, listOf, textOf, visible, type Fields } from '../format.js'

/** An event of a session, as a watch tells it. */
export interface Told {
  readonly position?: string
  readonly time?: string
  readonly kind: string
  readonly command?: number
  readonly event?: unknown
}

/** What happened in a session, in order. Everything that a client or a target wrote is text, with what a screen would hide spelt out. */
export function Timeline({ told }: { readonly told: readonly Told[] }): ReactNode {
  const shown = told.filter(({ kind }) => kind !== 'session.signed' && kind !== 'recording')
  if (shown.length === 0) return <Text c="dimmed">Nothing yet.</Text>
  return (
    <ol className="timeline">
      {shown.map((one, index) => (
        <Moment key={one.position ?? index} one={one} />
      ))}
    </ol>
  )
}

function Moment({ one }: { readonly one: Told }): ReactNode {
  const event = fieldsOf(one.event)
  const decision = fieldsOf(event['decision'])
  const verdict = textOf(decision['verdict'])
  return (
    <li data-tone={one.kind === 'command' ? toneOf(verdict) : one.kind === 'command.end' && textOf(event['status']) !== 'ok' ? 'red' : undefined}>
      <Group gap="xs">
        <Text size="xs" c="dimmed" ff="monospace" title={one.time}>{one.time === undefined ? '' : fullTime(one.time)}</Text>
        <Text size="sm" fw={600}>{titleOf(one, event)}</Text>
        {verdict === '' ? undefined : <Badge variant="light" color={toneOf(verdict)}>{verdict}</Badge>}
      </Group>
      {one.kind === 'command' ? <Command event={event} decision={decision} /> : undefined}
      {one.kind === 'command.end' ? <Result event={event} /> : undefined}
      {one.kind !== 'command' && one.kind !== 'command.end' && textOf(event['reason']) !== '' ? <Text size="sm">{visible(textOf(event['reason']))}</Text> : undefined}
    </li>
  )
}

function titleOf({ kind, command }: Told, event: Fields): string {
  const number = command === undefined ? '' : ` #${command}`
  switch (kind) {
    case 'command':
      return `Command${number}`
    case 'command.end':
      return `${textOf(event['status']) === 'ok' ? textOf(event['tag']) || 'Done' : `${textOf(event['status'])} ${textOf(event['error_code'])}`}${number}`
    case 'command.held':
      return `Waits for approval${number}`
    case 'command.released':
      return `${textOf(event['verdict'])}${number} by ${listOf(event['reviewers']).map(textOf).join(', ') || 'nobody'}`
    case 'session.viewed':
      return `Looked at by ${textOf(event['by'])} (${textOf(event['how'])})`
    default:
      return kind
  }
}

function Command({ event, decision }: { readonly event: Fields; readonly decision: Fields }): ReactNode {
  return (
    <>
      <pre className="command" tabIndex={0}>{visible(textOf(event['text']))}</pre>
      <Text size="sm" c="dimmed">{visible(textOf(decision['reason']))}</Text>
    </>
  )
}

function Result({ event }: { readonly event: Fields }): ReactNode {
  const preview = fieldsOf(event['result'])
  const columns = listOf(preview['columns']).map((column) => textOf(column) || textOf(fieldsOf(column)['name']))
  const rows = listOf(preview['rows']).slice(0, 20)
  const facts = [
    [textOf(event['rows']), 'rows'],
    [textOf(event['masked']), 'masked'],
    [event['duration_us'] === undefined ? '' : (Number(event['duration_us']) / 1000).toFixed(1), 'ms'],
  ].flatMap(([value, unit]) => (value === '' || (unit === 'masked' && value === '0') ? [] : [`${value} ${unit}`]))
  return (
    <>
      <Text size="sm" c="dimmed">{[...facts, visible(textOf(event['error_message']))].filter((text) => text !== '').join(' · ')}</Text>
      {columns.length > 0 && rows.length > 0 ? (
        <Table.ScrollContainer minWidth={300}>
          <Table withTableBorder fz="xs" ff="monospace" mt={6}>
            <Table.Thead><Table.Tr>{columns.map((name, index) => <Table.Th key={index}>{visible(name)}</Table.Th>)}</Table.Tr></Table.Thead>
            <Table.Tbody>
              {rows.map((row, index) => (
                <Table.Tr key={index}>{listOf(row).map((cell, place) => <Table.Td key={place}>{cell === null ? <em>NULL</em> : visible(textOf(cell))}</Table.Td>)}</Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      ) : undefined}
    </>
  )
}
