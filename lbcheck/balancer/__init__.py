"""The reference balancer: pure decisions, and an asyncio shell that carries them out."""
