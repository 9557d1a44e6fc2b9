"""The rules `shortest`, `available`, `paper` and `flow` as one would write them with NetworkX, timed on the networks and
payments that `braid-sim speed --dump` has left, beside what it measured for ours."""

import json
import sys
import time
from pathlib import Path

import networkx as nx

SECONDS = 10  # for each rule


def network(links):
    """One arc a direction; parallel channels are one, as a plain graph has it."""
    graph = nx.DiGraph()
    for a, b, of_a, of_b in links:
        for payer, payee, balance in ((a, b, of_a), (b, a, of_b)):
            if graph.has_edge(payer, payee):
                graph[payer][payee]["capacity"] += balance
            else:
                graph.add_edge(payer, payee, capacity=balance)
    return graph


def move(graph, path, amount):
    for payer, payee in zip(path, path[1:]):
        graph[payer][payee]["capacity"] -= amount
        graph[payee][payer]["capacity"] += amount


def shortest(graph, payer, payee, amount):
    try:
        path = nx.bidirectional_shortest_path(graph, payer, payee)
    except nx.NetworkXNoPath:
        return False
    if any(graph[a][b]["capacity"] < amount for a, b in zip(path, path[1:])):
        return False
    move(graph, path, amount)
    return True


def available(graph, payer, payee, amount):
    able = nx.subgraph_view(graph, filter_edge=lambda a, b: graph[a][b]["capacity"] >= amount)
    try:
        path = nx.bidirectional_shortest_path(able, payer, payee)
    except nx.NetworkXNoPath:
        return False
    move(graph, path, amount)
    return True


def paper(graph, payer, payee, amount):
    def weight(a, b, arc):
        if arc["capacity"] < amount:
            return None
        total = arc["capacity"] + graph[b][a]["capacity"]
        if "dist" not in arc:  # Funds do not move into or out of channels: it is computed once.
            around = sum(
                graph[x][k]["capacity"] + graph[k][x]["capacity"]
                for k in graph[a].keys() & graph[b].keys()
                for x in (a, b)
            )
            arc["dist"] = total / (total + around) if total else 0.0
        unbalanced = abs(arc["capacity"] - graph[b][a]["capacity"]) / total
        return 0.5 * (1 - arc["dist"]) + 0.5 * unbalanced

    try:
        _, path = nx.bidirectional_dijkstra(graph, payer, payee, weight=weight)
    except nx.NetworkXNoPath:
        return False
    move(graph, path, amount)
    return True


def flow(graph, payer, payee, amount):
    graph.add_edge("limit", payer, capacity=amount)
    residual = nx.flow.shortest_augmenting_path(graph, "limit", payee, cutoff=amount)
    graph.remove_node("limit")
    if residual.graph["flow_value"] < amount:
        return False
    for a, b in list(graph.edges):
        moved = residual[a][b]["flow"]
        if moved > 0:
            move(graph, (a, b), moved)
    return True


def main(folder):
    for file in sorted(Path(folder).glob("*.json")):
        world = json.loads(file.read_text())
        print(f"\n{world['name']}: {world['nodes']} users, {len(world['links'])} channels")
        print(f"{'Strategy':<10} {'Braid (1/s)':>14} {'NetworkX (1/s)':>16} {'Ratio':>9} {'Success':>9} {'NetworkX':>9} {'Payments':>9}")
        for rule in (shortest, available, paper, flow):
            ours = world["measured"][rule.__name__]
            graph = network(world["links"])
            graph.add_nodes_from(range(world["nodes"]))
            done = settled = 0
            start = time.perf_counter()
            for payer, payee, amount in world["payments"]:
                settled += rule(graph, payer, payee, amount)
                done += 1
                if time.perf_counter() - start > SECONDS:
                    break
            rate = done / (time.perf_counter() - start)
            success = 100 * sum(ours["settled"][:done]) / done
            print(
                f"{rule.__name__:<10} {ours['rate']:>14,.0f} {rate:>16,.1f} {ours['rate'] / rate:>8,.0f}x"
                f" {success:>8.1f}% {100 * settled / done:>8.1f}% {done:>9,}"
            )


main(sys.argv[1])
