"""What traffic people compute from speeds: travel times, sensors, bottlenecks, typical weeks."""
