"""Several nodes of one domain on one machine, and the load balancer before them."""

from .balancer import Balancer
from .cluster import Cluster, Node
from .network import Network

__all__ = ["Balancer", "Cluster", "Network", "Node"]
