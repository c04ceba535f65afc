import { Card, Stack, Table, Title } from '@mantine/core'
import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Failure, Loading } from './message.js'

export interface ListingColumn<Item> {
  readonly title: string
  readonly cell: (item: Item) => ReactNode
}

/** A room that is one table. */
export function Listing<Item>({ title, level = 1, found, items, columns, keyOf, empty, aside }: {
  readonly title: string
  readonly level?: 1 | 2
  readonly found: Pick<UseQueryResult, 'error' | 'isPending'>
  readonly items: readonly Item[]
  readonly columns: readonly ListingColumn<Item>[]
  readonly keyOf: (item: Item) => string
  readonly empty: ReactNode
  readonly aside?: ReactNode
}): ReactNode {
  return (
    <Stack gap="md" component="section" aria-label={title}>
      <Title order={level} size={level === 1 ? 'h2' : 'h3'}>{title}</Title>
      {aside}
      {found.error ? <Failure error={found.error} /> : undefined}
      {found.isPending ? <Loading /> : undefined}
      {!found.isPending && !found.error && items.length === 0 ? empty : undefined}
      {items.length > 0 ? (
        <Card withBorder p={0}>
          <Table.ScrollContainer minWidth={560}>
            <Table verticalSpacing="sm" horizontalSpacing="md" highlightOnHover>
              <Table.Thead>
                <Table.Tr>{columns.map((column) => <Table.Th key={column.title}>{column.title}</Table.Th>)}</Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {items.map((item) => <Table.Tr key={keyOf(item)}>{columns.map((column) => <Table.Td key={column.title}>{column.cell(item)}</Table.Td>)}</Table.Tr>)}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        </Card>
      ) : undefined}
    </Stack>
  )
}
