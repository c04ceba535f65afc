import { Anchor, Badge, Button, Card, Group, Stack, Table, Text, TextInput, Title } from '@mantine/core'
import { given, ok } from '@sallyport/api-client'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import type { FormEvent, ReactNode } from 'react'
import { Link, useLocation, useSearchParams } from 'wouter'
import { api, type AuditEvent } from '../api.js'
import { toneOf } from '../approvals/tone.js'
import { fieldsOf, fullTime, shortTime, textOf, visible } from '../format.js'
import { Empty, Failure, Loading } from '../shell/message.js'
import { SavedSearches } from './saved-searches.js'

const fields = [['statement', 'Words of a statement'], ['who', 'Who'], ['target', 'Target'], ['action', 'Action'], ['object', 'Object'], ['decision', 'Decision'], ['kind', 'Kind']] as const
/** A search, as it stands in the address: it can be shared. */
export type Asked = Partial<Record<(typeof fields)[number][0], string>>

const askedOf = (parameters: URLSearchParams): Asked => Object.fromEntries(fields.flatMap(([name]) => { const value = parameters.get(name)?.trim() ?? ''; return value === '' ? [] : [[name, value]] }))

/** Who did what, when, on which object, with which decision; and whether the record is whole. */
export function AuditRoom(): ReactNode {
  const [parameters] = useSearchParams()
  const [, go] = useLocation()
  const asked = askedOf(parameters)
  const address = new URLSearchParams(asked).toString()
  const found = useInfiniteQuery({
    queryKey: ['events', asked],
    initialPageParam: '',
    queryFn: ({ pageParam }) => ok(api.GET('/v1/events', { params: { query: given({ ...asked, limit: 50, cursor: pageParam === '' ? undefined : pageParam }) } })),
    getNextPageParam: (page) => page.next,
  })
  const items = found.data?.pages.flatMap((page) => page.items) ?? []
  const ask = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const given = new URLSearchParams(fields.flatMap(([name]) => { const value = form.get(name); return typeof value === 'string' ? [[name, value]] : [] }))
    go(`/audit?${new URLSearchParams(askedOf(given)).toString()}`)
  }
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Title order={1} size="h2">Audit</Title>
        <Chain />
      </Group>
      <SavedSearches asked={asked} />
      <Card key={address} withBorder component="form" onSubmit={ask} role="search">
        <Group align="end" gap="sm">
          {fields.map(([name, label]) => <TextInput key={name} name={name} label={label} defaultValue={asked[name] ?? ''} w={name === 'statement' ? 220 : 130} />)}
          <Button type="submit">Search</Button>
          {(['csv', 'jsonl'] as const).map((format) => (
            <Button key={format} component="a" variant="default" href={`/v1/events/export?${new URLSearchParams({ ...asked, format }).toString()}`} download={`events.${format}`}>{format === 'csv' ? 'CSV' : 'JSON lines'}</Button>
          ))}
        </Group>
      </Card>
      {found.error ? <Failure error={found.error} /> : undefined}
      {found.isPending ? <Loading /> : undefined}
      {found.data && items.length === 0 ? <Empty title="Nothing fits.">Give fewer conditions. Words of a statement are found in any order; “drop table” in quotes stand together.</Empty> : undefined}
      {items.length > 0 ? (
        <Card withBorder p={0}>
          <Table.ScrollContainer minWidth={820}>
            <Table verticalSpacing="xs" horizontalSpacing="md" highlightOnHover>
              <Table.Thead>
                <Table.Tr><Table.Th>Time</Table.Th><Table.Th>Event</Table.Th><Table.Th>Who</Table.Th><Table.Th>Target</Table.Th><Table.Th>Decision</Table.Th><Table.Th>What</Table.Th></Table.Tr>
              </Table.Thead>
              <Table.Tbody>{items.map((item) => <Row key={item.position} item={item} />)}</Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        </Card>
      ) : undefined}
      {found.hasNextPage ? <Group justify="center"><Button variant="default" loading={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>Older</Button></Group> : undefined}
    </Stack>
  )
}

function Row({ item }: { readonly item: AuditEvent }): ReactNode {
  const event = fieldsOf(item.event)
  const what = textOf(event['text']) || textOf(event['reason']) || textOf(event['tag']) || item.objects.join(', ')
  return (
    <Table.Tr>
      <Table.Td title={fullTime(item.time)} style={{ whiteSpace: 'nowrap' }}>{shortTime(item.time)}</Table.Td>
      <Table.Td>{item.session === undefined ? item.kind : <Anchor component={Link} href={`/sessions/${item.session}`} size="sm">{item.kind}</Anchor>}</Table.Td>
      <Table.Td>{visible(item.who ?? '')}</Table.Td>
      <Table.Td>{item.target ?? ''}</Table.Td>
      <Table.Td>{item.decision === undefined ? '' : <Badge variant="light" color={toneOf(item.decision)}>{item.decision}</Badge>}</Table.Td>
      <Table.Td maw={380}><Text size="sm" ff="monospace" className="one-line">{visible(what.slice(0, 300))}</Text></Table.Td>
    </Table.Tr>
  )
}

function Chain(): ReactNode {
  const verified = useQuery({ queryKey: ['verify'], queryFn: () => ok(api.GET('/v1/audit/verify')), enabled: false })
  return (
    <Group gap="sm">
      {verified.data === undefined ? undefined : (
        <Badge size="lg" variant="light" color={verified.data.ok ? 'green' : 'red'} tt="none">
          {verified.data.ok ? `Whole: ${verified.data.checked} events, ${verified.data.sessions.signed} sessions signed` : `Broken at position ${verified.data.first_bad?.position ?? '?'}: ${verified.data.first_bad?.problem ?? ''}`}
        </Badge>
      )}
      {verified.error ? <Failure error={verified.error} /> : undefined}
      <Button variant="default" loading={verified.isFetching} onClick={() => void verified.refetch()}>Verify the chain</Button>
    </Group>
  )
}
