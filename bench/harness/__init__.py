"""What every scenario needs: a broker, `weir` and `weir-bench` as processes, documents, facts about the machine."""
