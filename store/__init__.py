"""What Warmpath remembers: tables, repositories, migrations."""
